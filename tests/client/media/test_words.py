"""Words, and what inputs mean, without a gateway."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from rhetor.core.capability import Capability
from tekton_llm_client import InvalidRequestError, ServiceUnavailableError
from tekton_llm_client.media import MediaCapability, ProviderCreationError, ProviderNotFoundError
from tekton_llm_client.media.words import (
    Given,
    capability_for,
    is_job,
    joined,
    kind_of,
    known,
    read_model,
    sniffed,
    types_of,
)


@pytest.mark.promise("M21")
def test_capabilities_are_called_as_the_gateway_calls_them() -> None:
    """Those of MediaConduit, and two more; counting tokens is nobody's medium."""
    assert set(MediaCapability) == {str(each) for each in Capability} - {Capability.COUNT_TOKENS}
    assert len(set(MediaCapability) - {MediaCapability.EMBEDDINGS, MediaCapability.RERANK}) == 14
    assert str(MediaCapability.TEXT_TO_3D) == "text-to-3d"


BOTH = ("image-to-text", "image-to-image", "text-to-image")


@pytest.mark.parametrize(
    ("kind", "able", "expected"),
    [
        ("text", [("text-to-image", "text-to-text")], "text-to-text"),
        ("image", [BOTH], "image-to-text"),
        ("text", [BOTH], "text-to-image"),
        ("text", [("embeddings",)], "embeddings"),
        ("ranking", [("rerank",)], "rerank"),
        ("text", [("audio-to-text",)], "audio-to-text"),
        ("audio", [(), ("text-to-text", "audio-to-text")], "audio-to-text"),
        ("text", [(), ()], "text-to-text"),
        ("image", [(), ()], "image-to-text"),
        ("video", [()], "text-to-text"),
        ("", [("audio-to-text",)], "audio-to-text"),
    ],
)
def test_what_goes_in_decides_what_is_made_of_it(
    kind: str, able: list[tuple[str, ...]], expected: str
) -> None:
    """A text comes of it where it may; of a model that nobody has listed, as its provider can."""
    assert capability_for(kind, *map(known, able)) == expected


def test_several_inputs_are_one() -> None:
    one, two = Given("text", "one", "one"), Given("text", "two", "two")
    image, sound, other = (
        Given("image", {"asset": "a"}),
        Given("audio", {"url": "u"}),
        Given("", {"asset": "b"}),
    )
    text = MediaCapability.TEXT_TO_TEXT
    table: list[tuple[list[Given], Any]] = [
        ([one], "one"),
        ([one, two], "one\n\ntwo"),
        ([image], {"asset": "a"}),
        ([image, one], {"prompt": "one", "images": [{"asset": "a"}]}),
        ([image, sound], {"images": [{"asset": "a"}], "audio": [{"url": "u"}]}),
        ([one, other], {"prompt": "one", "sources": [{"asset": "b"}]}),
    ]  # fmt: skip
    for given, expected in table:
        assert joined(given, text) == expected
    assert joined([one, two], MediaCapability.EMBEDDINGS) == ["one", "two"]


def test_media_types() -> None:
    assert types_of(known(["text-to-text", "image-to-3d", "embeddings"]), 0) == ["text/plain", "image/*"]
    assert types_of(known(["text-to-3d", "text-to-video"]), 1) == ["video/*", "model/*"]
    assert [kind_of(said) for said in ("audio/mpeg", "application/pdf", "")] == ["audio", "", ""]
    heads = (b"\x89PNG\r\n", b"RIFF0000WAVE", b"RIFF0000WEBP", b"ID3", b"0000ftypmp42", b"what")
    kinds = [sniffed(head) for head in heads]
    assert kinds[:3] == ["image/png", "audio/wav", "image/webp"]
    assert kinds[3:] == ["audio/mpeg", "video/mp4", "application/octet-stream"]
    assert [is_job(each) for each in (MediaCapability.TEXT_TO_VIDEO, MediaCapability.TEXT_TO_IMAGE)] == [
        True,
        False,
    ]


def test_a_model_that_is_not_listed_has_a_name() -> None:
    model = read_model({"id": "a/b", "owned_by": "lab"})
    assert (model.id, model.name, model.capabilities, model.pricing, model.free) == (
        "a/b",
        "a/b",
        (),
        None,
        None,
    )
    route = read_model(
        {"id": "fast", "owned_by": "rhetor", "targets": ["lab/m"], "capabilities": ["mind-reading"]}
    )
    assert (route.id, route.description, route.capabilities) == ("fast", "a route to lab/m", ())


def test_errors_are_of_the_clients_family() -> None:
    missing = ProviderNotFoundError("cow", ["lab", "oai"])
    assert isinstance(missing, InvalidRequestError)
    assert (missing.code, missing.provider) == ("not_found", "cow")
    assert "there are lab, oai" in missing.message
    failed = ProviderCreationError("cow", missing)
    assert isinstance(failed, ServiceUnavailableError)
    assert (failed.code, failed.status) == ("not_found", None)
    for error in (missing, failed):
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert (type(again), str(again), again.code) == (type(error), str(error), error.code)
