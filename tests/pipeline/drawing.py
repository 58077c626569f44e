"""Two vendors who draw elsewhere, and what their pictures' ways look like when they are disturbed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rhetor.core.capability import Capability
from rhetor.core.media import Draw
from rhetor.core.request import Request
from rhetor.testing import Seen, Step, Upstream
from tests.pipeline.house import House
from tests.wire.media.errands import PNG, asked, made, medium, said

DRAW = Draw(prompt="a cat")


@dataclass
class Script:
    """One vendor's queue in the manner of Replicate: what each of its four addresses says.

    Each is a step for every request, or a list of steps for the first ones.
    """

    submit: Any = None
    poll: Any = None
    result: Any = None
    cancel: Any = field(default_factory=lambda: said({}))
    outputs: int = 1
    place: str = ""
    """Where results lie; empty: at the vendor itself."""

    def __call__(self, seen: Seen) -> Step:
        here = f"http://{seen.headers['host']}"
        get = f"{here}/v1/predictions/p1"
        urls = {"get": get, "cancel": f"{get}/cancel"}
        outputs = [f"{self.place or here}/out/{n}.png" for n in range(self.outputs)]
        state = {"id": "p1", "urls": urls, "status": "processing"}
        if seen.path.startswith("/out/"):
            return _next(self.result, medium())
        if seen.path.endswith("/cancel"):
            return _next(self.cancel, said({}))
        if seen.method == "POST":
            return _next(self.submit, said(state, 201))
        return _next(self.poll, said({**state, "status": "succeeded", "output": outputs}))


def _next(steps: Any, usual: Step) -> Step:
    if isinstance(steps, Step):
        return steps
    return steps.pop(0) if steps else usual


def working() -> Step:
    """Not done yet; addresses are known from the beginning."""
    return said({"id": "p1", "status": "processing", "urls": {"get": "/v1/predictions/p1", "cancel": CANCEL}})


CANCEL = "/v1/predictions/p1/cancel"


@asynccontextmanager
async def drawing(a: Any, b: Any = None, **row: Any) -> AsyncIterator[House]:
    """A house with two vendors `a` and `b` and the route `fast` over both."""
    upstreams = {"a": Upstream(anything=True), "b": Upstream(anything=True)}
    async with upstreams["a"], upstreams["b"], House(upstreams) as house:
        upstreams["a"].always(a)
        upstreams["b"].always(b or Script(result=medium(b"from b")))
        for id, upstream in upstreams.items():
            await house.replace(made("replicate", upstream, id, **row))
        yield house


def draw(model: str = "fast", **said: Any) -> Request:
    return asked(model, DRAW, Capability.TEXT_TO_IMAGE, **said)


def calls(upstream: Upstream) -> list[str]:
    """What was asked of it, in short."""
    return [_short(seen) for seen in upstream.requests]


def _short(seen: Seen) -> str:
    if seen.path.startswith("/out/"):
        return "fetch"
    return "cancel" if seen.path.endswith("/cancel") else "submit" if seen.method == "POST" else "poll"


WHOLE = [("image/png", PNG)]
FROM_B = [("image/png", b"from b")]
