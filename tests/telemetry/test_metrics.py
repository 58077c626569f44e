"""Metrics: one table, few labels, and numbers that add up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from rhetor.core.errors import Code
from rhetor.core.record import AttemptRecord, TripRecord
from rhetor.core.usage import Usage
from rhetor.telemetry.metrics import TABLE, Metrics

UNITS = ("_total", "_seconds", "_bytes")
WITHOUT_UNIT = {
    "rhetor_trips_in_flight": "things, now",
    "rhetor_websockets_open": "things, now",
    "rhetor_jobs_running": "things, now",
    "rhetor_models": "things, now",
    "rhetor_provider_up": "yes or no",
    "rhetor_service_up": "yes or no",
    "rhetor_breaker_open": "things, now",
    "rhetor_build_info": "always 1",
}
PERSONAL = {"user", "principal", "component", "session", "trip", "id", "prompt", "key"}


def trip(**said: Any) -> TripRecord:
    usual: dict[str, Any] = {
        "id": "gen_1",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "door": "openai",
        "capability": "text-to-text",
        "requested_model": "fast",
        "served_by": "lab/small",
        "model_known": True,
        "outcome": "ok",
        "stream": False,
        "fallback": False,
        "attempts": (AttemptRecord("lab/small", "ok", 5),),
        "usage": Usage(11, 7),
        "cost_micros": 42,
        "first_event_ms": 20,
        "total_ms": 100,
    }
    return TripRecord(**{**usual, **said})


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample that is not zero, as Prometheus' text format writes it."""
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    return {name: value for name, value in values.items() if value and "_created" not in name}


@pytest.mark.parametrize("declared", TABLE, ids=lambda declared: declared.name)
def test_a_declaration_says_what_and_how_much(declared: Any) -> None:
    assert declared.name.startswith("rhetor_")
    assert declared.name.endswith(UNITS) or declared.name in WITHOUT_UNIT
    assert declared.name.endswith("_total") == (declared.kind == "counter")
    assert not declared.help[0].islower()
    assert declared.help.endswith(".")
    assert not PERSONAL & set(declared.labels)


def test_no_name_is_declared_twice() -> None:
    assert len({declared.name for declared in TABLE}) == len(TABLE)


def test_every_declared_metric_is_told() -> None:
    """Also before anything happened, where it has no labels."""
    text = Metrics().text().decode()
    for declared in TABLE:
        assert f"# HELP {declared.name} {declared.help}" in text
        assert f"# TYPE {declared.name} {declared.kind}" in text


class TestTrips:
    def test_an_ordinary_one(self) -> None:
        metrics = Metrics()
        metrics.on_trip(trip())
        counted = {name: n for name, n in samples(metrics).items() if "_bucket" not in name}
        assert counted == {
            'rhetor_requests_total{capability="text-to-text",door="openai",outcome="ok"}': 1,
            'rhetor_request_seconds_count{door="openai",stream="false"}': 1,
            'rhetor_request_seconds_sum{door="openai",stream="false"}': 0.1,
            'rhetor_first_event_seconds_count{provider="lab"}': 1,
            'rhetor_first_event_seconds_sum{provider="lab"}': 0.02,
            'rhetor_attempts_total{outcome="ok",provider="lab"}': 1,
            'rhetor_tokens_total{direction="input",model="small",provider="lab"}': 11,
            'rhetor_tokens_total{direction="output",model="small",provider="lab"}': 7,
            'rhetor_cost_micro_dollars_total{model="small",provider="lab"}': 42,
        }

    def test_a_fallback_counts_for_who_stepped_in(self) -> None:
        metrics = Metrics()
        attempts = (AttemptRecord("dear/big", Code.OVERLOADED, 5), AttemptRecord("lab/small", "ok", 5))
        metrics.on_trip(trip(fallback=True, attempts=attempts))
        counted = samples(metrics)
        assert counted['rhetor_fallbacks_total{provider="lab"}'] == 1
        assert counted['rhetor_attempts_total{outcome="overloaded",provider="dear"}'] == 1
        assert counted['rhetor_attempts_total{outcome="ok",provider="lab"}'] == 1

    def test_one_that_nobody_served(self) -> None:
        metrics = Metrics()
        attempts = (AttemptRecord("dear/big", Code.OVERLOADED, 5),)
        metrics.on_trip(
            trip(served_by=None, outcome=Code.OVERLOADED, attempts=attempts, usage=Usage(), cost_micros=0,
                 first_event_ms=None)
        )  # fmt: skip
        counted = samples(metrics)
        assert (
            counted['rhetor_requests_total{capability="text-to-text",door="openai",outcome="overloaded"}']
            == 1
        )
        assert not [name for name in counted if "tokens" in name or "cost" in name or "first_event" in name]

    def test_a_model_that_nobody_listed_gets_no_label_of_its_own(self) -> None:
        """Its name is whatever a caller wrote: labels have few values."""
        metrics = Metrics()
        for n in range(50):
            metrics.on_trip(trip(served_by=f"lab/made-up-{n}", model_known=False))
        assert "made-up" not in metrics.text().decode()
        assert samples(metrics)['rhetor_tokens_total{direction="input",model="other",provider="lab"}'] == 550

    def test_an_unknown_price_is_not_nothing(self) -> None:
        metrics = Metrics()
        metrics.on_trip(trip(cost_micros=None))
        assert not [name for name in samples(metrics) if "cost" in name]

    def test_models_with_slashes(self) -> None:
        metrics = Metrics()
        metrics.on_trip(trip(served_by="router/org/model"))
        assert (
            samples(metrics)['rhetor_tokens_total{direction="input",model="org/model",provider="router"}']
            == 11
        )

    def test_streams_are_told_apart(self) -> None:
        metrics = Metrics()
        metrics.on_trip(trip(stream=True))
        assert samples(metrics)['rhetor_request_seconds_count{door="openai",stream="true"}'] == 1


class TestGauges:
    def test_a_gauge_is_read_when_somebody_looks(self) -> None:
        metrics, now = Metrics(), [0]
        metrics.read("rhetor_trips_in_flight", lambda: now[0])
        now[0] = 3
        assert samples(metrics)["rhetor_trips_in_flight"] == 3

    def test_what_is_gone_is_forgotten(self) -> None:
        """A provider that a reload removed must not stay up for ever."""
        metrics = Metrics()
        metrics.set("rhetor_provider_up", "old", value=1)
        metrics.forget("rhetor_provider_up")
        metrics.set("rhetor_provider_up", "new", value=1)
        assert samples(metrics) == {'rhetor_provider_up{provider="new"}': 1}

    def test_a_forgotten_gauge_can_be_set_again(self) -> None:
        metrics = Metrics()
        metrics.set("rhetor_models", "lab", value=3)
        metrics.forget("rhetor_models")
        metrics.set("rhetor_models", "lab", value=4)
        assert samples(metrics) == {'rhetor_models{provider="lab"}': 4}


def test_the_same_numbers_as_json() -> None:
    metrics = Metrics()
    metrics.on_trip(trip())
    told = orjson.loads(orjson.dumps(metrics.as_json()))
    assert {
        "name": "rhetor_tokens_total",
        "labels": {"provider": "lab", "model": "small", "direction": "input"},
        "value": 11,
    } in told["rhetor_tokens"]


def test_two_houses_do_not_count_together() -> None:
    """Nothing is kept in the module: tests and embedders start more than one."""
    first, second = Metrics(), Metrics()
    first.on_trip(trip())
    assert samples(second) == {}
