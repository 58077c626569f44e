"""How targets are doing, as real traffic tells: the one thing in routing that changes.

One `Health` lives as long as the process, over reloads. All of it is synchronous, so nobody sees half a
change. Nothing here decides: plans and retries ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import exp

from rhetor.core.clock import Clock
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code
from rhetor.core.value import value
from rhetor.routing.affinity import Affinity
from rhetor.routing.breaker import FAULTS, Breaker, State
from rhetor.routing.catalog import Candidate, Target
from rhetor.routing.quota import Budgets, Marks, Windows

DECAY_S = 10.0  # after so long without news, a third of what was known of a target's speed is left
PENALTY_S = 10.0  # a failure counts as if the target had taken so long
RISE, FALL = 0.095, 0.005  # of the p95: one first event in twenty is later
UNHEARD_S = 1.0  # who is asked for the first time need not be asked by everybody
MOST_TARGETS = 4000  # callers may make up the names of models
FORGOTTEN = MOST_TARGETS // 4  # at once, when there are so many


@value
class Standing:
    """What is known of a target at one moment."""

    breaker: State = State.CLOSED
    cooling_s: float = 0.0
    """How long its quota domain asked to be left alone."""
    key_bad: bool = False
    in_flight: int = 0
    first_event_s: float | None = None
    """How soon it speaks: the worst of late, less as time goes by. None: never heard."""
    late_s: float | None = None
    """A first event that takes longer is unusual: the 95th percentile."""


class _Vitals:
    """What is kept of one target."""

    __slots__ = ("at_s", "breaker", "domain", "first_event_s", "in_flight", "late_s", "turn")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.domain = ""
        self.in_flight = 0
        self.first_event_s: float | None = None
        self.late_s: float | None = None
        self.at_s = 0.0
        """When it last spoke, or failed."""
        self.turn = 0
        """The number of the last request that it was asked."""

    def speed_s(self, now_s: float) -> float | None:
        heard_s = self.first_event_s
        return None if heard_s is None else heard_s * self._faded(now_s)

    def heard(self, first_event_s: float, now_s: float) -> None:
        """A peak counts at once and whole, what is faster only bit by bit."""
        before_s = self.first_event_s
        if before_s is not None and before_s > first_event_s:
            first_event_s += (before_s - first_event_s) * self._faded(now_s)
        self.first_event_s = first_event_s
        self.at_s = now_s

    def _faded(self, now_s: float) -> float:
        """How much of what was heard is left; never more than there was, whatever a clock says."""
        return exp(min(0.0, (self.at_s - now_s) / DECAY_S))


_NOBODY = _Vitals()
"""Stands for whoever was never asked; nobody changes it."""


class Health:
    """How every target is doing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._vitals: dict[tuple[str, str, int], _Vitals] = {}
        self._under_way: Counter[str] = Counter()
        """Requests by provider."""
        self._sick: set[tuple[str, str, int]] = set()
        """Those whose breaker is not closed."""
        self._windows = Windows()
        self._marks = Marks()
        self._budgets = Budgets()
        self._affinity = Affinity()
        self._turns = 0
        """Requests so far."""

    def began(self, target: Target) -> None:
        """A request goes out to this target; if its breaker was due for a probe, this is the probe."""
        self._under_way[target.provider] += 1
        vitals = self._vitals.get((target.provider, target.model, target.key)) or self._new(target)
        vitals.in_flight += 1
        self._turns += 1
        vitals.turn = self._turns
        if not vitals.breaker.closed:
            vitals.breaker.began(target, self._clock.monotonic_s())

    def spoke(self, target: Target, first_event_s: float) -> None:
        """The first content came, so long after the request went out."""
        vitals = self._vitals[target.provider, target.model, target.key]
        vitals.heard(first_event_s, self._clock.monotonic_s())
        late_s = vitals.late_s
        if late_s is None:
            vitals.late_s = first_event_s
        else:
            vitals.late_s = late_s * (1 + RISE if first_event_s > late_s else 1 - FALL)
        if not vitals.breaker.closed:
            vitals.breaker.spoke(target)
            self._look(target, vitals)

    def ended(
        self, candidate: Candidate, code: Code | None, now_s: float, retry_after_s: float | None = None
    ) -> None:
        """An attempt is over; None: it went well. `cancelled` says nothing about the target."""
        target = candidate.target
        self._under_way[target.provider] -= 1
        vitals = self._vitals[target.provider, target.model, target.key]
        vitals.in_flight -= 1
        vitals.domain = candidate.domain
        vitals.breaker.ended(target, code, now_s)
        if code is not None or self._sick:
            self._look(target, vitals)
        if code is None:
            self._windows.on_success(candidate.domain, now_s)
            self._marks.on_success(candidate.domain)
            return
        if code in FAULTS:
            vitals.heard(max(PENALTY_S, vitals.first_event_s or 0.0), now_s)
        elif code is Code.MODEL_NOT_FOUND and vitals.first_event_s is None and not vitals.in_flight:
            del self._vitals[target.provider, target.model, target.key]  # there is nothing to know of it
        self._windows.on_failure(candidate.domain, code, now_s, retry_after_s)
        self._marks.on_failure(candidate.domain, code, now_s)

    def of(self, target: Target, domain: str, now_s: float) -> Standing:
        """What is known of a target now."""
        vitals = self._vitals.get((target.provider, target.model, target.key), _NOBODY)
        return Standing(
            breaker=vitals.breaker.state(now_s),
            cooling_s=self._windows.left_s(domain, now_s),
            key_bad=self._marks.is_bad(domain, now_s),
            in_flight=vitals.in_flight,
            first_event_s=vitals.speed_s(now_s),
            late_s=vitals.late_s,
        )

    def cooling_s(self, domain: str, now_s: float) -> float:
        """How long a quota domain still wants to be left alone."""
        return self._windows.left_s(domain, now_s)

    def on_request(self, provider: str) -> None:
        """A request that was not sent before goes to this provider."""
        self._budgets.on_request(provider)

    def on_repeat(self, provider: str) -> None:
        """The same request goes to the same target again."""
        self._budgets.on_repeat(provider, self._clock.monotonic_s())

    def may_repeat(self, provider: str) -> bool:
        """Whether this provider can bear that a request is repeated: few of many, or one now and then."""
        return self._budgets.may_repeat(provider, self._clock.monotonic_s())

    def served(self, prefix: int, target: Target) -> None:
        """This target has now read the beginning of a conversation: see `Plan.prefix`."""
        self._affinity.served(prefix, target, self._clock.monotonic_s())

    def reader_of(self, prefix: int, now_s: float) -> Target | None:
        """Who read the beginning of this conversation, not so long ago that it is forgotten."""
        return self._affinity.reader_of(prefix, now_s)

    def is_calm(self, now_s: float) -> bool:
        """Nothing at all is wrong with anybody: there is no need to look closer."""
        return not (self._sick or self._windows.any_left(now_s) or self._marks.any_left(now_s))

    def in_flight(self, target: Target) -> int:
        """Requests under way to this target."""
        return self._vitals.get((target.provider, target.model, target.key), _NOBODY).in_flight

    def first_event_s(self, provider: str, model: str, now_s: float) -> float | None:
        """How soon a model speaks, with the provider's first key; None: never heard."""
        return self._vitals.get((provider, model, 0), _NOBODY).speed_s(now_s)

    def turn(self, target: Target) -> int:
        """The number of the last request that this target was asked; 0: none."""
        return self._vitals.get((target.provider, target.model, target.key), _NOBODY).turn

    def slowness(self, target: Target, now_s: float) -> float:
        """How late a target would speak, and the later the busier; who was never heard gets its chance."""
        vitals = self._vitals.get((target.provider, target.model, target.key), _NOBODY)
        speed_s = vitals.speed_s(now_s)
        return vitals.in_flight * UNHEARD_S if speed_s is None else speed_s * (vitals.in_flight + 1)

    def under_way(self, provider: str) -> int:
        """Requests at a provider, whichever its model."""
        return self._under_way[provider]

    def on_answer(self, provider: str) -> None:
        """The provider was asked something that is no request, and has answered."""
        now_s = self._clock.monotonic_s()
        for (id, _, _), vitals in self._vitals.items():
            if id == provider:
                vitals.breaker.hurry(now_s)

    def on_reload(self) -> None:
        """Keys may have been replaced: each is believed again."""
        self._marks.clear()

    def open_breakers(self) -> Counter[str]:
        """How many targets of each provider are left alone; providers without any are not in it."""
        return Counter(provider for provider, _, _ in self._sick)

    def snapshot(self, now_s: float) -> list[dict[str, JsonValue]]:
        """Every target that was asked, for people."""
        return list(self._rows(now_s))

    def _rows(self, now_s: float) -> Iterator[dict[str, JsonValue]]:
        for (provider, model, key), vitals in sorted(self._vitals.items(), key=lambda item: item[0]):
            standing = self.of(Target(provider, model, key), vitals.domain, now_s)
            yield {
                "target": f"{provider}/{model}",
                "key": key,
                "breaker": standing.breaker,
                "probe_in_s": round(vitals.breaker.due_in_s(now_s), 3),
                "failures": vitals.breaker.failures,
                "cooling_s": round(standing.cooling_s, 3),
                "key_bad": standing.key_bad,
                "in_flight": vitals.in_flight,
                "first_event_ms": _ms(standing.first_event_s),
                "late_ms": _ms(standing.late_s),
            }

    def _look(self, target: Target, vitals: _Vitals) -> None:
        key = (target.provider, target.model, target.key)
        if vitals.breaker.closed:
            self._sick.discard(key)
        else:
            self._sick.add(key)

    def _new(self, target: Target) -> _Vitals:
        if len(self._vitals) >= MOST_TARGETS:
            self._forget()
        vitals = self._vitals[target.provider, target.model, target.key] = _Vitals()
        return vitals

    def _forget(self) -> None:
        """Make room: who is well says least, and of those who was heard longest ago."""
        idle = [(key, kept) for key, kept in self._vitals.items() if not kept.in_flight]
        idle.sort(key=lambda item: (not item[1].breaker.closed, item[1].at_s))
        for key, _ in idle[:FORGOTTEN]:
            del self._vitals[key]
            self._sick.discard(key)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
