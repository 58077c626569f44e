"""What is asked of each subject, and which figures of the answer matter."""

from dataclasses import dataclass

PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table for a scenario."""

    key: str
    title: str
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    measures: tuple[Measure, ...]
    connections: int = 0
    chunks: int = 0
    """Of a streamed reply; 0 asks for an unary one."""
    gap_ms: int = 0
    ramp_s: float = 0.0
    warm_s: float = 0.4
    translated: bool = False
    """OpenAI in, Anthropic upstream."""
    beside: str = ""
    """The scenario of the aiohttp proxy that the ratio refers to, where it is not this one."""

    @property
    def is_paced(self) -> bool:
        return self.gap_ms > 0


UNARY = (
    Measure("rps", "requests/s", more_is_better=True),
    Measure("latency_p50", "latency p50, ms"),
    Measure("latency_p99", "latency p99, ms"),
    Measure("cpu_us_per_reply", "gateway CPU, µs/reply"),
)
UNPACED = (
    Measure("chunks_per_s", "chunks/s", more_is_better=True),
    Measure("cpu_us_per_chunk", "gateway CPU, µs/chunk"),
)
PACED = (
    Measure("first_chunk_p50", "first chunk p50, ms"),
    Measure("first_chunk_p99", "first chunk p99, ms"),
    Measure("gap_p99", "gap p99, ms (20 sent)"),
    Measure("lag_p50", "lag p50, ms"),
    Measure("lag_p99", "lag p99, ms"),
    Measure("cpu_percent", "gateway CPU, %"),
    Measure("rss_kb_per_stream", "RSS per stream, KB"),
)
START = Scenario(
    "start",
    "start",
    (Measure("ready_s", "time to ready, s"), Measure("idle_rss_mb", "idle RSS, MB")),
)


def _unary(connections: int) -> Scenario:
    return Scenario(f"unary-{connections}", f"unary ×{connections}", UNARY, connections)


def _paced(connections: int) -> Scenario:
    # A stream lasts a second and begins within the first; the window opens when all are under way.
    # The ramp is one gap longer, which spreads the chunks of all evenly: otherwise they come in a few clumps.
    return Scenario(
        f"paced-{connections}",
        f"{connections} paced streams",
        PACED,
        connections,
        chunks=50,
        gap_ms=20,
        ramp_s=1.02,
        warm_s=1.3,
    )


SCENARIOS = (
    _unary(1),
    _unary(16),
    _unary(64),
    Scenario("stream-16", "16 streams, no gaps", UNPACED, 16, chunks=200),
    _paced(200),
    _paced(500),
    Scenario("translated-unary-16", "translated unary ×16", UNARY, 16, translated=True, beside="unary-16"),
    Scenario(
        "translated-stream-16",
        "16 translated streams, no gaps",
        UNPACED,
        16,
        chunks=200,
        translated=True,
        beside="stream-16",
    ),
)
WARM_UP = Scenario("warm-up", "warm-up", (), connections=8, warm_s=0.0)


def body(scenario: Scenario, model: str) -> dict[str, object]:
    """The request. Length and pace stand in the prompt, where they survive a translation."""
    marker = f" [bench chunks={scenario.chunks} gap_ms={scenario.gap_ms}]" if scenario.chunks else ""
    asked: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "Answer in plain words, and briefly."},
            {"role": "user", "content": f"How do foxes live?{marker}"},
        ],
        "max_tokens": 512,
        "temperature": 0.7,
    }
    if scenario.chunks:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return asked
