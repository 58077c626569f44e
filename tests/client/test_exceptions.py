"""Exceptions travel: between processes, and from one waiter to the next."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest

from tekton_llm_client import exceptions as errors
from tekton_llm_client.models import Attempt

ABOUT = {"status": 503, "code": "overloaded", "retry_after_s": 7.0, "retry": True, "request_id": "gen_1"}
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


def some(kind: type[Exception]) -> Exception:
    attempts = [Attempt(target="lab/small", outcome="overloaded", ms=2)]
    if issubclass(kind, errors.AdapterError):
        return kind("rhetor", "why", **ABOUT, attempts=attempts)
    if issubclass(kind, errors.TektonLLMError):
        return kind("why", **ABOUT, attempts=attempts)  # type: ignore[arg-type]
    return kind("why", "text", [1]) if issubclass(kind, errors.JSONParsingError) else kind("why")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_every_exception_arrives_as_it_left(
    kind: type[Exception], travel: Callable[[Exception], Exception]
) -> None:
    error = some(kind)
    arrived = travel(error)
    assert type(arrived) is kind
    assert str(arrived) == str(error) == "why"
    assert vars(arrived) == vars(error)
