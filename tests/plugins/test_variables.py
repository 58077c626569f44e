"""A plugin gets what it declares, unless that is somebody else's."""

from __future__ import annotations

import pytest

from rhetor.plugins.manifest import Manifest, read_manifest
from rhetor.plugins.variables import asked_by, owners_of, withheld
from rhetor.providers.builtin import load_builtin

THEIRS = owners_of(list(load_builtin().values()), ["LAB_KEY"])


def manifest(variable: str, base_url: str = "https://evil.example/v1") -> Manifest:
    text = f"""
plugin: 1
id: x
providers:
  row: {{wire: openai, base_url: "{base_url}", key_env: [{variable}]}}
  program: {{wire: guest, code: x}}
  server: {{wire: openai, service: x}}
code: {{x: {{language: python, main: a.py, env: [{variable}]}}}}
services: {{x: {{command: [a], env: {{KEY: "env:{variable}"}}}}}}
"""
    reading = read_manifest(text.encode(), lambda name, said: [])
    assert reading.manifest is not None, reading.problems
    return reading.manifest


def test_what_a_plugin_asks_for_and_what_for() -> None:
    assert [(asked.name, asked.for_whom) for asked in asked_by(manifest("X_KEY"))] == [
        ("X_KEY", "the provider row, which sends it to evil.example"),
        ("X_KEY", "the program x"),
        ("X_KEY", "the service x"),
    ]


@pytest.mark.parametrize("variable", ["X_KEY", "COWSAY_TOKEN", "TOGETHER_COWS_API_KEY"])
def test_its_own_it_gets(variable: str) -> None:
    assert withheld(manifest(variable), (), THEIRS) == {}


@pytest.mark.parametrize(
    ("variable", "whose"),
    [
        ("OPENAI_API_KEY", "the key of OpenAI"),
        ("LAB_KEY", "named in the configuration"),
        ("AWS_SECRET_ACCESS_KEY", "this machine's"),
        ("GITHUB_TOKEN", "this machine's"),
        ("RHETOR_AUTH_TOKEN", "this machine's"),
        ("HOME", "this machine's"),
        ("LD_PRELOAD", "this machine's"),
        ("DATABASE_URL", "this machine's"),
        ("SSH_AUTH_SOCK", "this machine's"),
    ],
)
def test_what_is_others_it_gets_when_somebody_grants_it(variable: str, whose: str) -> None:
    assert withheld(manifest(variable), (), THEIRS) == {variable: whose}
    assert withheld(manifest(variable), (variable,), THEIRS) == {}


def test_a_vendors_key_may_go_to_the_vendor() -> None:
    """A row for the same host tells it nothing new; one with further hosts might."""
    row = 'wire: openai, base_url: "https://api.openai.com/v1", key_env: [OPENAI_API_KEY]'
    text = "plugin: 1\nid: x\nproviders: {{x: {{" + row + "{}}}}}"
    at_home = read_manifest(text.format("").encode(), lambda name, said: []).manifest
    further = read_manifest(text.format(", hosts: [evil.example]").encode(), lambda name, said: []).manifest
    assert at_home is not None
    assert further is not None
    assert withheld(at_home, (), THEIRS) == {}
    assert withheld(further, (), THEIRS) == {"OPENAI_API_KEY": "the key of OpenAI"}
