"""Variables that callers set for their agents."""

from __future__ import annotations

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.sessions.variables import Variables


@pytest.fixture
def variables() -> Variables:
    return Variables(["LANG", "API_KEY"])


def test_what_is_allowed_is_kept_until_it_is_forgotten(variables: Variables) -> None:
    variables.keep("ses_1", {"LANG": "C"})
    variables.keep("ses_1", {})
    variables.keep("ses_1", None)
    assert variables.of("ses_1") == {"LANG": "C"}
    assert variables.of("ses_2") == {}
    variables.forget("ses_1")
    variables.forget("ses_1")
    assert variables.of("ses_1") == {}


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "ANTHROPIC_BASE_URL", "lang"])
def test_what_is_not_is_refused_by_name(variables: Variables, name: str) -> None:
    with pytest.raises(BadRequest, match=name) as caught:
        variables.ensure_allowed({name: "secret-canary"})
    assert caught.value.code is Code.FORBIDDEN
    assert caught.value.param == "environment"
    assert "canary" not in caught.value.message
