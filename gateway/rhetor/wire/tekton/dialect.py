"""Tekton over WebSocket, as one object for whoever serves a connection."""

from __future__ import annotations

from rhetor.core.content import Json
from rhetor.core.errors import RhetorError
from rhetor.core.request import Request
from rhetor.wire.base import ReplyInfo
from rhetor.wire.socket import Asker, ClientFrame, Dialect, Voice
from rhetor.wire.tekton import socket
from rhetor.wire.tekton.ask import context_of
from rhetor.wire.tekton.frames import read_frame


class _TektonSocket:
    name = "tekton-ws"  # its frames are others than those of Tekton's event stream
    resumes = True

    def parse(self, said: Json, body: bytes, now_s: int) -> ClientFrame:
        return read_frame(said, body)

    def voice(self, to: Asker, request: Request, info: ReplyInfo) -> Voice:
        kind = socket.Streamer if request.stream else socket.Responder
        return kind(to.request_id, info, context_of(request))

    def failed(self, error: RhetorError, to: Asker, info: ReplyInfo, context_id: str) -> list[str]:
        return [socket.error_frame(error, to.request_id, info, context_id)]


TEKTON_SOCKET: Dialect = _TektonSocket()
