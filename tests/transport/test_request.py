"""What goes out is exactly what the call says, or nothing."""

from __future__ import annotations

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.request import Heads, Origin, make_head

URL = "http://provider.example/v1/chat"


def sent(call: Call) -> bytes:
    """The head as it goes out."""
    return make_head(call).before(call.body)


def test_a_call_with_a_body() -> None:
    call = Call("POST", URL, {"content-type": "application/json"}, b"{}")
    assert sent(call) == (
        b"POST /v1/chat HTTP/1.1\r\n"
        b"host: provider.example\r\n"
        b"content-type: application/json\r\n"
        b"content-length: 2\r\n\r\n"
    )


def test_a_call_without_a_body() -> None:
    assert sent(Call("GET", URL)) == b"GET /v1/chat HTTP/1.1\r\nhost: provider.example\r\n\r\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_that_is_expected_and_missing_is_empty(method: str) -> None:
    assert b"content-length: 0\r\n" in sent(Call(method, URL))


def test_an_empty_body_has_a_length_too() -> None:
    assert b"content-length: 0\r\n" in sent(Call("GET", URL, body=b""))


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://a.example", Origin(False, "a.example", 80), b"a.example", b"/"),
        ("http://a.example?x=1", Origin(False, "a.example", 80), b"a.example", b"/?x=1"),
        ("https://A.Example/b#c", Origin(True, "a.example", 443), b"a.example", b"/b"),
        ("https://a.example:443/", Origin(True, "a.example", 443), b"a.example", b"/"),
        ("https://a.example:80/", Origin(True, "a.example", 80), b"a.example:80", b"/"),
        ("http://10.0.0.1:81/a%2Fb?c=%20", Origin(False, "10.0.0.1", 81), b"10.0.0.1:81", b"/a%2Fb?c=%20"),
        ("http://[::1]:8003/", Origin(False, "::1", 8003), b"[::1]:8003", b"/"),
        ("http://[::1]/", Origin(False, "::1", 80), b"[::1]", b"/"),
        ("http://bücher.test/", Origin(False, "xn--bcher-kva.test", 80), b"xn--bcher-kva.test", b"/"),
    ],
)  # fmt: skip
def test_where_it_goes(url: str, origin: Origin, host: bytes, target: bytes) -> None:
    head = make_head(Call("GET", url))
    assert head.origin == origin
    assert head.before(None) == b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (target, host)


def test_a_call_may_name_the_host_itself() -> None:
    """For whoever reaches a provider through an address of their own."""
    head = sent(Call("GET", URL, {"Host": "other.example"}))
    assert head == b"GET /v1/chat HTTP/1.1\r\nHost: other.example\r\n\r\n"


def test_values_may_have_what_latin_1_has() -> None:
    assert b"x-title: caf\xe9\tol\xe9\r\n" in sent(Call("GET", URL, {"x-title": "café\tolé"}))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(Call("GET", URL, {"x": "canary\r\nhost: evil.example"}), id="line break in a value"),
        pytest.param(Call("GET", URL, {"x": "canary\n"}), id="trailing newline"),
        pytest.param(Call("GET", URL, {"x": "canary\r"}), id="carriage return"),
        pytest.param(Call("GET", URL, {"x": "canary\0"}), id="NUL"),
        pytest.param(Call("GET", URL, {"x": "canary\x7f"}), id="DEL"),
        pytest.param(Call("GET", URL, {"x": "canary ’"}), id="not latin-1"),
        pytest.param(Call("GET", URL, {"x\r\ny": "canary"}), id="line break in a name"),
        pytest.param(Call("GET", URL, {"x:": "canary"}), id="colon in a name"),
        pytest.param(Call("GET", URL, {"": "canary"}), id="no name"),
        pytest.param(Call("GET", URL, {"Content-Length": "7"}), id="a length of its own"),
        pytest.param(Call("GET", URL, {"transfer-encoding": "chunked"}), id="a framing of its own"),
        pytest.param(Call("GET", URL, {"Connection": "close"}), id="a word on the connection"),
        pytest.param(Call("GET /", URL), id="blank in the method"),
        pytest.param(Call("", URL), id="no method"),
        pytest.param(Call("GET", "http://a.example/canary x"), id="blank in the address"),
        pytest.param(Call("GET", "http://a.example/canary\r\nx: y"), id="line break in the address"),
        pytest.param(Call("GET", "http://a.example/caf\xe9"), id="address not encoded"),
        pytest.param(Call("GET", "http://me:canary@a.example/"), id="a user in the address"),
        pytest.param(Call("GET", f"http://{'canary' * 20}.example/"), id="label too long"),
        pytest.param(Call("GET", "http://a.example:99999/"), id="no such port"),
        pytest.param(Call("GET", "ftp://a.example/"), id="another protocol"),
    ],
)
def test_what_cannot_be_sent(call: Call) -> None:
    """It fails before anything goes out, and the message shows no value, which may be a key."""
    with pytest.raises(UpstreamError) as caught:
        make_head(call)
    assert caught.value.code is Code.CONNECT_FAILED
    assert caught.value.message.startswith("the call cannot be sent: ")
    assert "canary" not in caught.value.message


class TestHeads:
    def test_are_made_once(self) -> None:
        heads = Heads()
        first = heads.of(Call("POST", URL, {"x": "1"}, b"a"))
        assert heads.of(Call("POST", URL, {"x": "1"}, b"another body")) is first

    @pytest.mark.parametrize(
        "call",
        [Call("POST", URL, {"x": "2"}), Call("POST", URL + "s", {"x": "1"}), Call("PUT", URL, {"x": "1"})],
        ids=["header", "address", "method"],
    )
    def test_are_made_again_when_something_differs(self, call: Call) -> None:
        heads = Heads()
        heads.of(Call("POST", URL, {"x": "1"}))
        assert heads.of(call).before(None) == sent(call)

    def test_see_a_change_in_the_same_headers(self) -> None:
        """A key that was rotated must not go out for another second."""
        heads = Heads()
        headers = {"authorization": "old"}
        heads.of(Call("POST", URL, headers))
        headers["authorization"] = "new"
        assert b"authorization: new\r\n" in heads.of(Call("POST", URL, headers)).before(None)

    def test_are_not_kept_without_end(self) -> None:
        heads = Heads()
        for n in range(1000):
            heads.of(Call("GET", f"{URL}/{n}"))
        assert len(heads) < 100

    def test_do_not_show_the_key(self) -> None:
        assert "canary" not in repr(make_head(Call("GET", URL, {"authorization": "canary"})))
