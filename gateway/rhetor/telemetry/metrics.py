"""Every metric, declared once. Labels have few values: never a user, a prompt, an id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rhetor.core.content import JsonValue
from rhetor.core.record import TripRecord

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Declared:
    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()


TABLE = (
    Declared("counter", "rhetor_requests_total", "Trips that ended.", ("door", "capability", "outcome")),
    Declared(
        "histogram", "rhetor_request_seconds", "From request to the reply's last byte.", ("door", "stream")
    ),
    Declared("histogram", "rhetor_first_event_seconds", "From request to the first content.", ("provider",)),
    Declared("counter", "rhetor_attempts_total", "Calls to providers.", ("provider", "outcome")),
    Declared(
        "counter", "rhetor_fallbacks_total", "Trips that another target than the first served.", ("provider",)
    ),
    Declared("counter", "rhetor_tokens_total", "Tokens consumed.", ("provider", "model", "direction")),
    Declared("counter", "rhetor_cost_micro_dollars_total", "Cost of known prices.", ("provider", "model")),
    Declared("counter", "rhetor_ledger_dropped_total", "Trips that the books lost because the store lagged."),
    Declared("gauge", "rhetor_trips_in_flight", "Trips under way."),
    Declared("gauge", "rhetor_websockets_open", "WebSocket connections."),
    Declared("gauge", "rhetor_jobs_running", "Jobs that have not ended."),
    Declared("gauge", "rhetor_assets_bytes", "What is stored of media, once something of it was asked for."),
    Declared("gauge", "rhetor_models", "Models on offer.", ("provider",)),
    Declared("gauge", "rhetor_provider_up", "1 when the provider has its key and answers.", ("provider",)),
    Declared(
        "gauge", "rhetor_breaker_open", "Targets that failed too often and are left alone.", ("provider",)
    ),
    Declared("gauge", "rhetor_service_up", "1 while a local server is ready.", ("service",)),
    Declared(
        "counter",
        "rhetor_service_restarts_total",
        "Local servers that came back after a failure.",
        ("service",),
    ),
    Declared("gauge", "rhetor_build_info", "Always 1; the version is the label.", ("version",)),
)

_KINDS = {"counter": Counter, "gauge": Gauge}
Family = prometheus_client.Metric
Metric = Counter | Gauge | Histogram


class Metrics:
    """The table, alive. Children are bound once per label set and kept."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Metric] = {declared.name: self._make(declared) for declared in TABLE}
        self._children: dict[tuple[str, ...], Metric] = {}

    def add(self, name: str, *labels: str, amount: float = 1) -> None:
        cast(Counter, self._child(name, labels)).inc(amount)

    def set(self, name: str, *labels: str, value: float) -> None:
        cast(Gauge, self._child(name, labels)).set(value)

    def observe(self, name: str, *labels: str, value: float) -> None:
        cast(Histogram, self._child(name, labels)).observe(value)

    def read(self, name: str, read: Callable[[], float]) -> None:
        """Let a gauge without labels be read when somebody looks."""
        gauge = self._metrics[name]
        assert isinstance(gauge, Gauge)
        gauge.set_function(read)

    def forget(self, name: str) -> None:
        """Drop all label sets of a metric, before it is set anew."""
        self._metrics[name].clear()
        self._children = {key: child for key, child in self._children.items() if key[0] != name}

    def on_trip(self, record: TripRecord) -> None:
        """Count one ended trip. Called by the ledger's writer, not on the way of a reply."""
        self.add("rhetor_requests_total", record.door, record.capability, record.outcome)
        stream = "true" if record.stream else "false"
        self.observe("rhetor_request_seconds", record.door, stream, value=record.total_ms / 1000)
        for attempt in record.attempts:
            self.add("rhetor_attempts_total", attempt.target.partition("/")[0], attempt.outcome)
        if record.served_by is None:
            return
        provider, _, model = record.served_by.partition("/")
        model = model if record.model_known else "other"
        if record.first_event_ms is not None:
            self.observe("rhetor_first_event_seconds", provider, value=record.first_event_ms / 1000)
        if record.fallback:
            self.add("rhetor_fallbacks_total", provider)
        self.add("rhetor_tokens_total", provider, model, "input", amount=record.usage.input_tokens)
        self.add("rhetor_tokens_total", provider, model, "output", amount=record.usage.output_tokens)
        if record.cost_micros:
            self.add("rhetor_cost_micro_dollars_total", provider, model, amount=record.cost_micros)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def as_json(self) -> dict[str, JsonValue]:
        """All samples by metric, for people and pages without a Prometheus."""
        return {
            family.name: [
                {"name": s.name, "labels": dict(s.labels), "value": s.value}
                for s in family.samples
                if not s.name.endswith("_created")
            ]
            for family in self._families()
        }

    def _families(self) -> Iterator[Family]:
        yield from self._registry.collect()

    def _child(self, name: str, labels: tuple[str, ...]) -> Metric:
        key = (name, *labels)
        known = self._children.get(key)
        if known is not None:
            return known
        metric = self._metrics[name]
        child: Metric = metric.labels(*labels) if labels else metric
        self._children[key] = child
        return child

    def _make(self, declared: Declared) -> Metric:
        if declared.kind == "histogram":
            return Histogram(
                declared.name, declared.help, declared.labels, registry=self._registry, buckets=SECONDS
            )
        made: Metric = _KINDS[declared.kind](
            declared.name, declared.help, declared.labels, registry=self._registry
        )
        return made
