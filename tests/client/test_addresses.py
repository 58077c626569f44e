"""Addresses, as they are dialled and as they are shown."""

from __future__ import annotations

import pytest

from tekton_llm_client.addresses import shown, socket_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:8003/prefix", "http://host:8003/prefix"),
        ("http://name:s3cret@host:8003/prefix", "http://host:8003/prefix"),
        ("wss://name:s3@cret@host/ws", "wss://host/ws"),
        ("http://name:s3/cret@host", "http://host"),
        ("name:s3cret@host", "host"),
    ],
)
def test_a_password_is_never_shown(url: str, expected: str) -> None:
    assert shown(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:8003", "ws://host:8003/ws"),
        ("https://host/api/llm/", "wss://host/api/llm/ws"),
        ("ws://host/ws", "ws://host/ws"),
        ("wss://host/x/ws/", "wss://host/x/ws"),
    ],
)
def test_where_the_socket_is(url: str, expected: str) -> None:
    assert socket_url(url) == expected


@pytest.mark.parametrize("url", ["http://name:s3cret@host:99999", "http://name:s3cret@[::1"])
def test_what_is_no_address_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a gateway") as error:
        socket_url(url)
    assert "s3cret" not in str(error.value)
