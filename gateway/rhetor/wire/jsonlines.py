"""JSON lines: bytes in any pieces → whole lines. Only LF ends a line: JSON text never holds a bare one."""

from __future__ import annotations

from rhetor.core.errors import Code, UpstreamError

LINE_LIMIT_BYTES = 8 * 1024 * 1024  # a line may carry an image as base64, but must not fill the memory


class LineSplitter:
    """Cuts a byte stream into lines; any split of the same bytes gives the same lines."""

    def __init__(self) -> None:
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by these bytes, each with its newline; all lines joined are the stream.

        Raises:
            UpstreamError: protocol_error, a line is larger than the limit.
        """
        if b"\n" not in data:
            self._hold(data)
            return []
        self._held.append(data)
        lines = self._release().split(b"\n")
        if lines[-1]:
            self._hold(lines[-1])
        whole = [line + b"\n" for line in lines[:-1]]
        if any(len(line) > LINE_LIMIT_BYTES for line in whole):
            raise _too_large()
        return whole

    def close(self) -> list[bytes]:
        """The last line when it came without its newline."""
        rest = self._release()
        return [rest] if rest else []

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > LINE_LIMIT_BYTES:
            raise _too_large()

    def _release(self) -> bytes:
        data = b"".join(self._held)
        self._held = []
        self._held_bytes = 0
        return data


def _too_large() -> UpstreamError:
    return UpstreamError(f"the provider sent a line of more than {LINE_LIMIT_BYTES} bytes", Code.PROTOCOL)
