"""What must be true when the rounds are over."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.kills.house import GATEWAY_TOKEN, House, Stored, until
from tests.faults.kills.journal import Line, read
from tests.faults.kills.provider import Provider
from tests.faults.kills.rounds import Led

RESTS_S = 40.0
LEAVES_S = 20.0
IN_TURN = ("initializing", "active", "waiting_input")


class Judge:
    """Blocks: call it on a thread."""

    def __init__(self, house: House, provider: Provider) -> None:
        self._house = house
        self._provider = provider

    # Before and after.

    def wait_for_the_gateway(self) -> None:
        assert until(self._answers, RESTS_S), self._house.log_end()

    def begin(self, said: Any) -> str:
        return str(self._ask("POST", "/v1/sessions", said)["id"])

    def come_to_rest(self, led: Led) -> None:
        """Nobody leads it any more."""
        led.speaker.end()
        self.wait_for_the_gateway()
        if self._state(led) in IN_TURN:
            self._ask("POST", f"/v1/sessions/{led.id}/interrupt", {}, well=False)
        assert until(lambda: self._state(led) not in IN_TURN, RESTS_S), f"{led.backend} comes to no rest"

    def suspend_and_resume(self, led: Sequence[Led]) -> None:
        """Each of them goes on in another process, with its history; and so before."""
        for each in led:
            self.remembers(each, "before")
        states = {each.id: self._ask("POST", f"/v1/sessions/{each.id}/suspend", {}) for each in led}
        houses = self._house.houses()
        self._house.kill()
        assert until(lambda: not self._house.left_of(houses), 5.0)
        self._house.start()
        self.wait_for_the_gateway()
        for each in led:
            assert self._state(each) == "suspended"
            assert "environment" not in states[each.id]
            self._ask("POST", f"/v1/sessions/{each.id}/resume", {"state": states[each.id]})
            assert self._state(each) == "idle"
            self.remembers(each, "after")

    def remembers(self, led: Led, when: str) -> None:
        """What was said and answered in turns that ended well is told to the model of the next one."""
        name = f"{when}-{led.id[-6:]}"
        well = _ended_well(self._house.stored()[led.id])
        said = {"message": f"quick #{name}", "resume": True, "wait": True}
        outcome = self._ask("POST", f"/v1/sessions/{led.id}/messages", said)
        assert (outcome["text"], outcome["reason"]) == (f"well said #{name}", "end"), outcome
        told = self._provider.told[name]
        for kept in (told.said, told.answered):
            lacking = [each for each in well if each not in kept]
            assert [each for each in kept if each in well] == well, f"{led.backend} forgot {lacking}"

    def terminate(self, led: Led) -> list[Line]:
        """Its log, once its readers have left."""
        self._ask("DELETE", f"/v1/sessions/{led.id}")
        for reader in led.readers:
            assert reader.left(LEAVES_S) == 0, f"a reader did not like it: {reader.log_end()}"
        log: list[Line] = []
        while page := self._ask("GET", f"/v1/sessions/{led.id}/events?limit=1000&after={len(log)}")["data"]:
            log += page
        return log

    # What is looked at.

    def the_log_is_whole(self, led: Led, log: Sequence[Line]) -> None:
        assert [event["seq"] for event in log] == [*range(1, len(log) + 1)]
        stored = self._house.stored()[led.id]
        assert [(it.seq, it.turn, it.type, it.content, it.data) for it in stored.events] == [
            (it["seq"], it["turn"], it["type"], it["content"], it["data"]) for it in log
        ]
        restarts = [it for it in log if it["data"].get("reason") == "gateway restarted"]
        assert len(restarts) == led.restarts, f"{led.backend}: found suspended {len(restarts)} times"

    def readers_have_read_it(self, led: Led, log: Sequence[Line]) -> None:
        """Those that were killed a beginning of it, the others all."""
        reading = {str(reader.arguments[-1]) for reader in led.readers}
        for file in led.files:
            lines = read(file)
            assert lines == log[: len(lines)], f"{file.name} has something else than the log"
            assert len(lines) == len(log) or str(file) not in reading, f"{file.name} has not all of it"
        heard = [_known(line) for line in read(led.heard)]
        assert heard == [_known(line) for line in log[: len(heard)]], "the Python client heard something else"

    def messages_are_in_it_once(self, led: Led, log: Sequence[Line]) -> None:
        there = Counter(it["data"]["message_id"] for it in log if it["type"] == "user")
        assert set(there.values()) == {1}, f"doubled: {there.most_common(3)}"
        seqs = {it["data"]["message_id"]: it["seq"] for it in log if it["type"] == "user"}
        for line in read(led.said):
            if "taken" in line:
                assert seqs.get(line["taken"]) == line["seq"], f"{line} is not in the log"

    def approvals_are_settled(self, led: Led, log: Sequence[Line]) -> None:
        asked = Counter(it["data"]["request_id"] for it in log if it["type"] == "approval_request")
        resolved = Counter(it["data"]["request_id"] for it in log if it["type"] == "approval_resolved")
        assert asked == resolved

    def founded_once(self, journal: Path) -> int:
        """Every session that was begun has its message once. How many there are."""
        by_title: dict[str, list[Stored]] = {}
        for stored in self._house.stored().values():
            by_title.setdefault(stored.title or "", []).append(stored)
        lines = read(journal)
        for line in lines:
            if "begun" not in line:
                assert len(by_title.get(line["begins"], [])) <= 1, f"{line} twice"
                continue
            (stored,) = by_title[line["begun"]]
            said = [event.content for event in stored.events if event.type == "user"]
            assert said == [f"quick #{line['begun']}"], f"{line}: {said}"
        return len(by_title) - 1

    def _answers(self) -> bool:
        return bool(self._ask("GET", "/ready", well=False))

    def _state(self, led: Led) -> str:
        return str(self._ask("GET", f"/v1/sessions/{led.id}")["state"])

    def _ask(self, method: str, path: str, said: Any = None, well: bool = True) -> Any:
        request = urllib.request.Request(
            self._house.url + path,
            method=method,
            data=None if said is None else json.dumps(said).encode(),
            headers={"authorization": f"Bearer {GATEWAY_TOKEN}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=RESTS_S) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if well:
                raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None
        except OSError:
            if well:
                raise
        return None


def _ended_well(stored: Stored) -> list[str]:
    """The names of what was said in turns that ended by themselves."""
    names = {it.turn: it.content.partition("#")[2] for it in stored.events if it.type == "user"}
    return [
        names[it.turn]
        for it in stored.events
        if it.type == "status_change" and it.data.get("from") in IN_TURN and it.data.get("reason") == "end"
    ]


def _known(line: Line) -> Line:
    return {name: line[name] for name in ("seq", "turn", "type", "content", "data")}
