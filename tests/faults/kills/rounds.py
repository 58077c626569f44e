"""Rounds in which some of them are killed at a random moment: gateway, minder, agent, clients."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rhetor.services import minder
from tests.faults.kills.house import Client, House, Stored, until
from tests.faults.kills.journal import read

GATEWAY, MINDER, AGENT, SPEAKER, READER, FOUNDER = (
    "gateway",
    "minder",
    "agent",
    "speaker",
    "reader",
    "founder",
)
CHAT = "chat"
ORPHANS_S = 5.0
GOES_ON_S = 40.0  # a gateway and an agent start on a busy machine; only a broken promise takes this long
STARTS_S = 1.2  # within which a gateway that starts is killed
TWO = 0.3
"""How often two are killed at once."""
MINDER_TOO = 0.3
"""How often the minder is, with its gateway."""
AGAIN = 0.25
"""How often a gateway is killed while it starts."""
ANEW = 0.4
"""How often a reader that was killed begins again with the first event."""
LIVE = ("initializing", "active", "waiting_input", "idle")


@dataclass(frozen=True)
class Round:
    victims: tuple[str, ...]
    after_s: float
    """From when things went on again."""
    again_s: float | None = None
    """The gateway once more, so long after its start."""

    def __str__(self) -> str:
        again = f", again after {self.again_s:.2f} s" if self.again_s is not None else ""
        return f"{' and '.join(self.victims)} after {self.after_s:.2f} s{again}"


def seeded(variable: str) -> random.Random:
    """Chance, which this variable of the environment makes the same again."""
    seed = int(os.environ.get(variable) or random.randrange(10**6))
    print(f"{variable}={seed}")
    return random.Random(seed)


def plan(chance: random.Random, count: int, victims: Sequence[str], within_s: float) -> list[Round]:
    """Each of them in turn; now and then with another one."""
    rounds = []
    for n in range(count):
        chosen = [victims[n % len(victims)]]
        if chance.random() < TWO:
            chosen.append(chance.choice([each for each in victims if each not in chosen]))
        if GATEWAY in chosen and AGENT in victims and chance.random() < MINDER_TOO:
            chosen.append(MINDER)
        chance.shuffle(chosen)
        again = GATEWAY in chosen and chance.random() < AGAIN
        again_s = chance.uniform(0, STARTS_S) if again else None
        rounds.append(Round(tuple(chosen), chance.uniform(0, within_s), again_s))
    return rounds


@dataclass(eq=False)
class Led:
    """A session, who leads it, and who reads it."""

    id: str
    backend: str
    speaker: Client
    said: Path
    heard: Path
    readers: list[Client] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """What readers have, and what those had that were killed."""
    restarts: int = 0
    """How often a gateway died while this was live, and the next one lived to find it."""

    @property
    def taken(self) -> int:
        return sum("taken" in line for line in read(self.said))


@dataclass
class _Wake:
    """What a round leaves to be looked after."""

    houses: set[str] = field(default_factory=set)
    """Of the gateways that were killed."""
    pids: set[int] = field(default_factory=set)
    """Of the agent that was killed, and of what it started."""
    affected: list[Led] = field(default_factory=list)
    starts: list[Callable[[], None]] = field(default_factory=list)

    def orphans(self, house: House) -> set[int]:
        return house.left_of(self.houses) | {pid for pid in self.pids if minder.environment_of(pid)}


class Rounds:
    """Blocks: call it on a thread."""

    def __init__(
        self, house: House, led: Sequence[Led], chance: random.Random, founder: Client | None = None
    ) -> None:
        self.house = house
        self.led = led
        self.counts: Counter[str] = Counter()
        self.orphans_s: list[float] = []
        """How long what was left behind lived."""
        self.back_s: list[float] = []
        """How long it took until things went on."""
        self._founder = founder
        self._chance = chance
        self._before: Mapping[str, Stored] = {}
        self._kills: Mapping[str, Callable[[_Wake], None]] = {
            GATEWAY: self._kill_gateway,
            MINDER: self._kill_minders,
            AGENT: self._kill_agent,
            SPEAKER: self._kill_speaker,
            READER: self._kill_reader,
            FOUNDER: self._kill_founder,
        }

    def tell(self) -> None:
        print(dict(self.counts))
        print(f"clean after at most {max(self.orphans_s):.1f} s, back after {max(self.back_s):.1f} s")

    def play(self, rounds: Sequence[Round]) -> None:
        self._go_on(self.led, {each.id: 0 for each in self.led})
        for n, it in enumerate(rounds, 1):
            print(f"round {n}: {it}", end="", flush=True)
            time.sleep(it.after_s)
            self._play(it)
            print(
                f", no orphan after {self.orphans_s[-1]:.1f} s, back after {self.back_s[-1]:.1f} s",
                flush=True,
            )

    def _play(self, it: Round) -> None:
        begun_s = time.monotonic()
        wake = _Wake()
        for victim in it.victims:
            self._kills[victim](wake)
            self.counts[victim] += 1
        taken = {each.id: each.taken for each in self.led}
        if GATEWAY in it.victims:
            self._look_into_the_store()
            self.house.start()
            if it.again_s is not None:
                time.sleep(it.again_s)
                wake.houses |= self.house.houses()
                self.house.kill()
                self._look_into_the_store()
                self.house.start()
        for start in wake.starts:
            start()
        gone = until(lambda: not wake.orphans(self.house), ORPHANS_S - (time.monotonic() - begun_s))
        self.orphans_s.append(time.monotonic() - begun_s)
        assert gone, (
            f"{ORPHANS_S:g} s after `{it}` there are left: {self.house.described(wake.orphans(self.house))}"
        )
        self._go_on(wake.affected, taken)
        self.back_s.append(time.monotonic() - begun_s)

    def _go_on(self, led: Sequence[Led], taken: Mapping[str, int]) -> None:
        """Wait until another message was taken in each of them."""
        for each in led:
            assert until(lambda each=each: each.taken > taken[each.id], GOES_ON_S), (  # type: ignore[misc]
                f"{each.backend} does not go on: {each.speaker.log_end()} {self.house.log_end()}"
            )

    # Who is killed.

    def _kill_gateway(self, wake: _Wake) -> None:
        wake.houses |= self.house.houses()
        self.house.kill()
        wake.affected = list(self.led)

    def _kill_minders(self, wake: _Wake) -> None:
        for pid in self.house.minders():
            os.kill(pid, signal.SIGKILL)

    def _kill_agent(self, wake: _Wake) -> None:
        """Of any session; as soon as there is one, since a gateway may have died just now."""
        agents = {pid: each for each in self.led for pid in self.house.agents(each.id)}
        if not agents:
            return
        pid = self._chance.choice(sorted(agents))
        wake.pids |= self.house.of_start(pid)
        os.kill(pid, signal.SIGKILL)
        self.counts["agent there"] += 1
        wake.affected += [agents[pid]] if not wake.affected else []

    def _kill_speaker(self, wake: _Wake) -> None:
        led = self._chance.choice(self.led)
        led.speaker.kill()
        wake.starts.append(led.speaker.start)
        wake.affected += [led] if led not in wake.affected else []

    def _kill_reader(self, wake: _Wake) -> None:
        led = self._chance.choice(self.led)
        n = self._chance.randrange(len(led.readers))
        led.readers[n].kill()
        if self._chance.random() < ANEW:
            led.files.append(file := led.files[0].with_name(f"{led.id}-read-{len(led.files)}"))
            led.readers[n] = led.readers[n].writing_to(file)
        wake.starts.append(led.readers[n].start)

    def _kill_founder(self, wake: _Wake) -> None:
        if self._founder is not None:
            self._founder.kill()
            wake.starts.append(self._founder.start)

    # What is left.

    def _look_into_the_store(self) -> None:
        """Nothing that was there is gone or changed, and nobody has read what is not there."""
        now = self.house.stored()
        for id, before in self._before.items():
            assert id in now, f"{id} is gone"
            assert now[id].events[: len(before.events)] == before.events, f"{id} was changed"
        for led in self.led:
            stored, before = now[led.id], self._before.get(led.id)
            assert [event.seq for event in stored.events] == [*range(1, stored.last_seq + 1)]
            for file in led.files:
                read_so_far = [line["seq"] for line in read(file)]
                assert len(read_so_far) <= stored.last_seq, f"{file.name} has what is not stored"
            led.restarts += stored.state in LIVE and (before is None or stored.last_seq > before.last_seq)
        self._before = now
