"""Where a reply may lead, and who gets the key there."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.media import Draw
from rhetor.core.request import Request
from rhetor.providers.builtin import load_builtin
from rhetor.providers.provider import Provider, is_host_of
from rhetor.wire.base import Follow
from rhetor.wire.languages import WIRES
from rhetor.wire.openai import OPENAI
from tests.providers.test_provider import KEY, NoTransport, chat, provider

BASE = "https://api.lab.example/v1"
HOSTS = frozenset({"api.eu.lab.example", ".regions.lab.example"})
RESULTS = frozenset({"files.example", ".files.example"})


def lab() -> Provider:
    return provider(OPENAI, base_url=BASE, hosts=HOSTS, result_hosts=RESULTS)


def headers_at(url: str, keyed: bool = True, body: bytes | None = None) -> dict[str, str]:
    """What is sent there.

    Raises:
        UpstreamError: nobody goes there.
    """
    made = lab()
    follow = Follow(url=url, keyed=keyed, body=body, method="POST" if body else "GET")
    return dict(made.follow(made.prepare(chat(), "small"), follow).headers)


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("/predictions/p1", f"{BASE}/predictions/p1"),
        ("/get?to=https://evil.example", f"{BASE}/get?to=https://evil.example"),
        ("https://api.lab.example/v2/p1", "https://api.lab.example/v2/p1"),
        ("HTTPS://API.lab.example:443/p1", "HTTPS://API.lab.example:443/p1"),
        ("https://api.eu.lab.example/p1", "https://api.eu.lab.example/p1"),
        ("https://a.b.regions.lab.example/p1", "https://a.b.regions.lab.example/p1"),
    ],
)
def test_the_vendors_own_places_get_the_key(url: str, called: str) -> None:
    made = lab()
    call = made.follow(made.prepare(chat(), "small"), Follow(url=url))
    assert (call.method, call.url, call.body) == ("GET", called, None)
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert "content-type" not in call.headers


def test_a_body_has_its_type_and_a_method() -> None:
    assert headers_at("/p1/cancel", body=b"{}")["content-type"] == "application/json"


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/0.png",
        "https://eu.files.example/0.png?sig=1",
        "https://FILES.example:443/0.png",
    ],
)
@pytest.mark.parametrize("keyed", [True, False])
def test_places_of_results_get_none(url: str, keyed: bool) -> None:
    assert list(headers_at(url, keyed)) == ["user-agent"]


@pytest.mark.parametrize("url", ["/0.png", "https://api.eu.lab.example/0.png"])
def test_nor_does_anybody_who_needs_none(url: str) -> None:
    assert list(headers_at(url, keyed=False)) == ["user-agent"]


STRANGERS = [
    "https://evil.example/0.png",
    "http://files.example/0.png",
    "http://api.lab.example/0.png",
    "https://files.example:8443/0.png",
    "https://api.lab.example:8443/p1",
    "https://files.example.evil.example/0.png",
    "https://evilfiles.example/0.png",
    "https://regions.lab.example/p1",
    "https://files.example@evil.example/0.png",
    "https://user@files.example/0.png",
    "https://user:secret@api.lab.example/0.png",
    "https://evil.example\\@files.example/0.png",
    "https://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1/0.png",
    "https://[::1]/0.png",
    "https://[::1/0.png",
    "https:///0.png",
    "https://files.example:port/0.png",
    "file:///etc/passwd",
    "ftp://files.example/0.png",
    "data:image/png;base64,iVBORw==",
    ".evil.example/0.png",
    "@evil.example/0.png",
    "",
]


@pytest.mark.parametrize("url", STRANGERS)
@pytest.mark.parametrize("keyed", [True, False])
def test_nobody_goes_to_strangers(url: str, keyed: bool) -> None:
    with pytest.raises(UpstreamError) as refused:
        headers_at(url, keyed)
    assert refused.value.code is Code.PROTOCOL
    assert refused.value.origin == "lab"
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("url", STRANGERS)
def test_strangers_are_hosts_of_nobody(url: str) -> None:
    assert not is_host_of(url, HOSTS | RESULTS)


# As the vendors' own documents show them, see `providers/rows/pictures.toml` for where they stand.
@pytest.mark.parametrize(
    ("row", "url", "keyed"),
    [
        ("replicate", "https://api.replicate.com/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu", True),
        ("replicate", "https://replicate.delivery/xezq/veo_output.mp4", False),
        ("replicate", "https://pbxt.replicate.delivery/abc/out-0.png", False),
        ("fal", "https://queue.fal.run/fal-ai/flux/requests/80e732af/status", True),
        ("fal", "https://v3.fal.media/files/lion/abc123.png", False),
        ("bfl", "https://api.eu1.bfl.ai/v1/get_result?id=t1", True),
        ("bfl", "https://delivery-us1.bfl.ai/results/sample.jpeg", False),
        ("bfl", "https://bfldeliveryprod.blob.core.windows.net/results/sample.jpeg", False),
    ],
)
def test_the_built_in_rows_lead_where_their_vendors_do(row: str, url: str, keyed: bool) -> None:
    built = load_builtin()[row]
    made = Provider(built, WIRES[built.wire], NoTransport(), KEY)
    draw = Request(id="", capability=Capability.TEXT_TO_IMAGE, model="m", input=Draw(prompt="x"))
    prepared = made.prepare(draw, built.default_models[Capability.TEXT_TO_IMAGE])
    call = made.follow(prepared, Follow(url=url, keyed=keyed))
    assert (built.auth.header in call.headers) is keyed
