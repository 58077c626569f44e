"""What a real server sent in one turn, and the list of messages that it had in the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
DIRECTORY = "/home/somebody/project"

Object = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    session: str
    events: list[Object]
    messages: list[Object]

    @property
    def text(self) -> str:
        """What was answered, as the list of messages has it."""
        return "".join(
            part["text"]
            for message in self.messages
            for part in message["parts"]
            if message["info"]["role"] == "assistant" and part["type"] == "text"
        )

    @property
    def tools(self) -> list[str]:
        """Ids of the tools that were used, in order."""
        return [
            part["id"] for message in self.messages for part in message["parts"] if part["type"] == "tool"
        ]


def recording(name: str) -> Recording:
    data = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    return Recording(data["session"], data["events"], data["messages"])


class Memory:
    """The list of messages as it is at any moment: it has snapshots of parts, but knows no deltas."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._infos: dict[str, Object] = {}
        self._parts: dict[str, dict[str, Object]] = {}
        self.busy = False

    def on_event(self, event: Object) -> None:
        about = event["properties"]
        match event["type"]:
            case "message.updated" if about["info"]["sessionID"] == self._session:
                self._infos[about["info"]["id"]] = about["info"]
            case "message.part.updated" if about["part"]["sessionID"] == self._session:
                parts = self._parts.setdefault(about["part"]["messageID"], {})
                parts[about["part"]["id"]] = about["part"]
            case "session.status" if about["sessionID"] == self._session:
                self.busy = about["status"]["type"] != "idle"

    @property
    def messages(self) -> list[Object]:
        return [
            {"info": info, "parts": list(self._parts.get(id, {}).values())}
            for id, info in self._infos.items()
        ]
