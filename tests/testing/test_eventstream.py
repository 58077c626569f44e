"""Messages of event streams: AWS' own library reads them."""

from __future__ import annotations

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from rhetor.testing.eventstream import message


@given(
    st.sampled_from(["event", "exception"]),
    st.text("abcXYZ", min_size=1, max_size=40),
    st.binary(max_size=99),
)
def test_what_is_written_is_read(kind: str, name: str, payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(message(kind, name, payload) * 2)  # type: ignore[arg-type]
    for read in buffer:
        assert read.payload == payload
        assert read.headers == {
            f":{kind}-type": name,
            ":content-type": "application/json",
            ":message-type": kind,
        }
