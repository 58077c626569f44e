"""What Jelmore's callers send: as its versions took it, and what is of no use is named."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.http.jelmore.bodies import (
    Creation,
    of_vendor,
    read_creation,
    read_input,
    unprocessable,
    verdict_of,
)


def read(said: dict[str, Any]) -> Creation:
    return read_creation({"query": "hi", **said}, "ann", None, "claude_code")


def test_who_says_nothing_gets_the_default() -> None:
    asked = read({})
    assert asked.new.message is not None
    assert (asked.new.backend, asked.new.model, asked.new.requirements) == ("claude_code", "", None)
    assert (asked.new.message.text, asked.dropped, asked.later) == ("hi", (), False)


@pytest.mark.parametrize("provider", ["claude", "claude_code"])
def test_settings_reach_the_session(provider: str) -> None:
    config = {
        "max_turns": 3, "timeout_seconds": 30, "temperature": 0.1, "max_tokens": 100,
        "system_prompt": "be short", "working_directory": "/w", "environment": {"CI": "1"},
        "permissions": "plan",
    }  # fmt: skip
    new = read({"provider": provider, "model": "m", "config": config}).new
    assert (new.backend, new.model, new.max_turns, new.timeout_s) == ("claude_code", "m", 3, 30)
    assert (new.temperature, new.max_tokens, new.system) == (0.1, 100, "be short")
    assert (new.directory, new.environment, new.permissions) == ("/w", {"CI": "1"}, "plan")


@pytest.mark.promise("J16")
@pytest.mark.promise("J19")
@pytest.mark.parametrize(
    "said",
    [
        {"config": {"capabilities": ["tools"], "cost_optimization": True, "max_tokens": 1000}},
        {"requirements": {"capabilities": ["tools"], "cost_optimization": True, "max_tokens": 1000}},
        {
            "model": "auto",
            "config": {"max_tokens": 1000},
            "requirements": {"capabilities": ["tools"], "cost_optimization": True},
        },
        {
            "provider": "auto",
            "requirements": {
                "model": "auto",
                "capabilities": ["tools"],
                "cost_optimization": True,
                "max_tokens": 1000,
            },
        },
    ],
)
def test_demands_in_either_place(said: dict[str, Any]) -> None:
    new = read(said).new
    assert new.requirements is not None
    assert (new.backend, new.model, new.requirements.model) == (None, "", "")
    assert (new.requirements.capabilities, new.requirements.max_tokens) == (("tools",), 1000)
    assert (new.requirements.load_balancing, new.requirements.cost_optimization) == (True, True)


@pytest.mark.parametrize("where", ["config", "requirements"])
@pytest.mark.parametrize(
    "said",
    [
        {"load_balancing": True, "cost_optimization": False},
        {"load_balancing": False},
        {"capabilities": None},
        {"capabilities": [], "load_balancing": None},
        {"max_tokens": 100},
    ],
)
def test_defaults_demand_nothing(where: str, said: dict[str, Any]) -> None:
    asked = read({where: said})
    assert (asked.new.backend, asked.new.requirements, asked.dropped) == ("claude_code", None, ())


def test_a_vendor_is_a_chat_with_its_model() -> None:
    new = read({"provider": "openai", "model": "gpt-5"}).new
    assert of_vendor(new, ["ant"]) == new
    chat = of_vendor(new, ["ant", "openai"])
    assert (chat.backend, chat.model) == ("chat", "openai/gpt-5")
    assert of_vendor(read({"provider": "openai"}).new, ["openai"]).model == "openai/"
    assert of_vendor(read({"provider": "openai", "model": "openai/x"}).new, ["openai"]).model == "openai/x"
    assert of_vendor(read({}).new, ["openai"]).backend == "claude_code"


def test_a_model_alone_is_a_demand() -> None:
    """Whoever has it may answer."""
    new = read({"model": "deepseek-v3"}).new
    assert new.requirements is not None
    assert (new.backend, new.requirements.model) == (None, "deepseek-v3")


def test_what_is_of_no_use_is_named() -> None:
    said = {
        "provider": "claude",
        "colour": "blue",
        "timeout_minutes": 5,
        "config": {"capabilities": ["tools"], "top_p": 1, "max_turns": 1},
    }
    asked = read(said)
    assert asked.dropped == ("colour", "timeout_minutes", "config.capabilities", "config.top_p")
    assert asked.later is True


def test_what_the_branch_v1_notes() -> None:
    asked = read({"user_id": "u1", "metadata": {"a": 1}, "current_directory": "/w"})
    assert (asked.new.metadata, asked.new.directory, asked.later) == ({"a": 1, "user_id": "u1"}, "/w", True)


@pytest.mark.promise("J52")
@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": 1}, "query"),
        ({"query": None}, "query"),
        ({"provider": 1}, "provider"),
        ({"model": ["m"]}, "model"),
        ({"config": "x"}, "config"),
        ({"config": {"max_turns": 0}}, "config.max_turns"),
        ({"config": {"max_turns": "10"}}, "config.max_turns"),
        ({"config": {"timeout_seconds": -1}}, "config.timeout_seconds"),
        ({"config": {"temperature": 3}}, "config.temperature"),
        ({"config": {"max_tokens": 0}}, "config.max_tokens"),
        ({"config": {"system_prompt": 1}}, "config.system_prompt"),
        ({"config": {"capabilities": "tools"}}, "config.capabilities"),
        ({"config": {"load_balancing": "yes"}}, "config.load_balancing"),
        ({"requirements": {"cost_optimization": 1}}, "requirements.cost_optimization"),
        ({"metadata": []}, "metadata"),
        ({"user_id": 5}, "user_id"),
    ],
)
def test_what_is_wrong_cannot_be_processed(said: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught, unprocessable():
        read(said)
    assert (caught.value.status, caught.value.param) == (422, param)


def test_other_errors_keep_their_status() -> None:
    with pytest.raises(BadRequest) as caught, unprocessable():
        raise BadRequest("gone", Code.NOT_FOUND)
    assert caught.value.status == 404


@pytest.mark.parametrize("word", ["y", "Yes", " yes\n", "allow", "APPROVE", "ok", "OK.", "yes!"])
def test_yes(word: str) -> None:
    assert (verdict_of(word).decision, verdict_of(word).always) == ("allow", False)


@pytest.mark.parametrize("word", ["n", "no", "No.", "deny", "", "  "])
def test_no(word: str) -> None:
    assert (verdict_of(word).decision, verdict_of(word).message) == ("deny", None)


def test_anything_else_is_a_no_with_a_reason() -> None:
    told = verdict_of("use the other folder")
    assert (told.decision, told.message) == ("deny", "use the other folder")
    assert verdict_of("always").always is True


@pytest.mark.parametrize("key", ["input_text", "input", "content"])
def test_input_in_each_spelling(key: str) -> None:
    assert read_input({key: "yes"}) == "yes"
    with pytest.raises(BadRequest, match="input_text is missing"):
        read_input({})
