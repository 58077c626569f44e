"""Pictures that are asked for: in JSON and in forms, both directions."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Inline, Url
from rhetor.core.errors import BadRequest
from rhetor.core.media import Bytes, Draw
from rhetor.core.request import Request
from rhetor.testing.media import PNG
from rhetor.wire.base import JSON_TYPE, PLAIN, Outgoing
from rhetor.wire.multipart import build_form, parse_form
from rhetor.wire.openai.images import (
    EditsDoor,
    EditsUpstream,
    GenerationsDoor,
    GenerationsUpstream,
)

GENERATE, EDIT = Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE
B64 = b64encode(PNG)
FILE = Bytes("image/png", PNG, "cat.png")


def generation(**said: Any) -> Request:
    return GenerationsDoor().parse(orjson.dumps({"model": "m", "prompt": "a cat", **said}), {})


def edit(*fields: tuple[str, str | Bytes]) -> Request:
    body, content_type = build_form([("model", "m"), ("prompt", "a hat"), *fields])
    return EditsDoor().parse(body, {"content-type": content_type})


def drawn(request: Request) -> Draw:
    assert isinstance(request.input, Draw)
    return request.input


def built(asked: Draw, model: str = "gpt-image-2", stream: bool = False) -> Outgoing:
    capability = EDIT if asked.images else GENERATE
    upstream = EditsUpstream() if asked.images else GenerationsUpstream()
    request = Request(id="", capability=capability, model="m", input=asked, stream=stream)
    return upstream.build(request, model, PLAIN)


class TestAsked:
    def test_everything_that_has_a_word(self) -> None:
        request = generation(
            n=3,
            size="1536x1024",
            quality="high",
            style="vivid",
            background="transparent",
            output_format="webp",
            safety_identifier="someone",
            user="somebody",
            seed=7,
            steps=4,
            guidance=2.5,
            negative_prompt="dogs",
            lora="x",
            moderation="low",
            stream=True,
            partial_images=2,
            response_format="b64_json",
            fallbacks=["a/b"],
        )
        assert drawn(request) == Draw(
            prompt="a cat",
            count=3,
            size=(1536, 1024),
            quality="high",
            style="vivid",
            background="transparent",
            format="image/webp",
            end_user="someone",
            seed=7,
            steps=4,
            guidance=2.5,
            negative_prompt="dogs",
            extra={"lora": "x"},
        )
        assert (request.capability, request.stream, request.fallbacks) == (GENERATE, True, ("a/b",))
        assert request.unsaid == ("moderation", "partial_images")

    @pytest.mark.parametrize(
        ("size", "meant", "ratio", "unsaid"),
        [
            ("auto", None, None, ()),
            ("512x512", (512, 512), None, ()),
            ("16:9", None, "16:9", ()),
            ("2K", None, None, ("size",)),
        ],
    )
    def test_sizes(self, size: str, meant: Any, ratio: str | None, unsaid: tuple[str, ...]) -> None:
        request = generation(size=size, quality="auto", background="auto")
        asked = drawn(request)
        assert (asked.size, asked.aspect_ratio, request.unsaid) == (meant, ratio, unsaid)
        assert (asked.quality, asked.background) == (None, None)

    def test_nobody_need_name_a_model(self) -> None:
        assert GenerationsDoor().parse(b'{"prompt": "a cat"}', {}).model == ""

    def test_pictures_come_in_a_form(self) -> None:
        request = edit(("image[]", FILE), ("image[]", FILE), ("mask", FILE), ("n", "2"), ("stream", "true"))
        assert drawn(request) == Draw(prompt="a hat", images=(FILE, FILE), mask=FILE, count=2)
        assert (request.capability, request.model, request.stream) == (EDIT, "m", True)

    @pytest.mark.parametrize(
        "said",
        [
            {"images": [{"image_url": f"data:image/png;base64,{B64.decode()}"}]},
            {"image": f"data:image/png;base64,{B64.decode()}"},
            {"image": {"url": f"data:image/png;base64,{B64.decode()}", "type": "image_url"}},
        ],
    )
    def test_pictures_are_named_in_json(self, said: Any) -> None:
        mask = {"image_url": "https://x.test/mask.png"}
        body = orjson.dumps({"model": "m", "prompt": "p", "mask": mask, **said})
        asked = drawn(EditsDoor().parse(body, {"content-type": JSON_TYPE}))
        assert asked.images == (Inline("image/png", B64.decode()),)
        assert asked.mask == Url("https://x.test/mask.png")

    @pytest.mark.parametrize(
        ("said", "param"),
        [
            ({"prompt": None}, "prompt"),
            ({"n": 0}, "n"),
            ({"n": "two"}, "n"),
            ({"stream": "yes"}, "stream"),
            ({"size": 5}, "size"),
            ({"images": []}, "images"),
            ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
            ({"images": [{}]}, "images[0].image_url"),
            ({"images": ["x"]}, "images[0]"),
            ({"image": 5}, "image"),
        ],
    )
    def test_a_mistake_is_named_by_its_path(self, said: Any, param: str) -> None:
        body = {"model": "m", "prompt": "p", "images": [{"image_url": "https://x.test/a"}], **said}
        if "image" in said:
            del body["images"]
        with pytest.raises(BadRequest) as refused:
            EditsDoor().parse(orjson.dumps(body), {})
        assert refused.value.param == param

    def test_a_form_without_a_picture(self) -> None:
        with pytest.raises(BadRequest, match="image is missing") as refused:
            edit(("image", "not a file"))
        assert refused.value.param == "image"


class TestSent:
    def test_words(self) -> None:
        asked = Draw(prompt="a cat", count=2, size=(1, 2), quality="high", format="image/jpeg", end_user="u")
        outgoing = built(asked)
        assert outgoing.path == "/images/generations"
        assert orjson.loads(outgoing.body) == {
            "model": "gpt-image-2",
            "prompt": "a cat",
            "n": 2,
            "size": "1x2",
            "quality": "high",
            "output_format": "jpeg",
            "user": "u",
        }

    @pytest.mark.parametrize(
        ("model", "said", "dropped"),
        [
            (
                "gpt-image-2",
                {"size": "1536x1024", "background": "opaque", "moderation": "low"},
                ("style", "aspect_ratio: 1536x1024 is the nearest size", "seed", "lora"),
            ),
            (
                "dall-e-3",
                {"style": "vivid", "moderation": "low", "response_format": "b64_json"},
                ("background", "seed", "aspect_ratio", "lora"),
            ),
            (
                "flux",
                {
                    "style": "vivid",
                    "background": "opaque",
                    "seed": 7,
                    "aspect_ratio": "16:9",
                    "moderation": "low",
                    "lora": "x",
                    "response_format": "b64_json",
                },
                (),
            ),
        ],
    )
    def test_each_kind_of_model_is_asked_for_what_it_understands(
        self, model: str, said: dict[str, Any], dropped: tuple[str, ...]
    ) -> None:
        """OpenAI answers 400 to fields that one of its models does not know; other speakers' take more."""
        asked = Draw(
            prompt="p",
            style="vivid",
            background="opaque",
            seed=7,
            aspect_ratio="16:9",
            extra={"moderation": "low", "lora": "x"},
        )
        outgoing = built(asked, model)
        assert orjson.loads(outgoing.body) == {"model": model, "prompt": "p", **said}
        assert outgoing.dropped == dropped

    def test_a_picture_is_sent_as_a_file(self) -> None:
        outgoing = built(Draw(prompt="p", images=(FILE, Inline("image/webp", "AAAA")), mask=FILE))
        assert outgoing.path == "/images/edits"
        assert parse_form(outgoing.body, outgoing.headers["content-type"]) == [
            ("model", "gpt-image-2"),
            ("prompt", "p"),
            ("image[]", FILE),
            ("image[]", Bytes("image/webp", b"\0\0\0", "image.webp")),
            ("mask", FILE),
        ]

    def test_a_picture_that_lies_elsewhere_is_named(self) -> None:
        outgoing = built(Draw(prompt="p", images=(Url("https://x.test/a"), Inline("image/png", "AAAA"))))
        assert orjson.loads(outgoing.body)["images"] == [
            {"image_url": "https://x.test/a"},
            {"image_url": "data:image/png;base64,AAAA"},
        ]
        assert outgoing.headers == {}

    def test_only_models_that_can_are_asked_for_a_stream(self) -> None:
        for model, streams in (("gpt-image-2", True), ("dall-e-3", False)):
            assert ("stream" in orjson.loads(built(Draw(prompt="p"), model, stream=True).body)) is streams

    def test_the_callers_own_body(self) -> None:
        original = generation(style="vivid", response_format="url", whatever=1).original
        assert original is not None
        for model, kept in (("dall-e-3", {"style": "vivid", "response_format": "url"}), ("gpt-image-2", {})):
            outgoing = GenerationsUpstream().retarget(original, model, PLAIN)
            assert orjson.loads(outgoing.body) == {"model": model, "prompt": "a cat", "whatever": 1, **kept}
            assert outgoing.dropped == (() if kept else ("style",))

    def test_the_callers_own_form(self) -> None:
        original = edit(("image", FILE), ("whatever", "1")).original
        assert original is not None
        outgoing = EditsUpstream().retarget(original, "target", PLAIN)
        assert parse_form(outgoing.body, outgoing.headers["content-type"]) == [
            ("model", "target"),
            ("prompt", "a hat"),
            ("image", FILE),
            ("whatever", "1"),
        ]
