"""A manifest is all right, or everything that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.capability import Capability
from rhetor.guestbook import service_problems
from rhetor.plugins.guest.spec import Limits
from rhetor.plugins.manifest import Manifest, Reading, read_manifest
from rhetor.plugins.reading import Problem

COW = """
plugin: 1
id: cowsay
name: Cowsay
version: 1.0.0
description: A cow
  that says it.
requires: {rhetor: ">=0.1, <9", platforms: [linux, darwin], programs: {espeak-ng: apt install espeak-ng}}
providers:
  cowsay: {name: Cowsay, wire: guest, code: cowsay, models: [cow, {id: tux, context_tokens: 5}]}
  moo: {wire: openai, base_url: "https://moo.example/v1", key_env: [MOO_KEY]}
  whisper: {wire: openai, service: whisper, base_url: /v1, capabilities: [audio-to-text]}
services:
  whisper: {command: [python, server.py]}
code:
  cowsay:
    language: python
    main: provider.py
    requirements: [cowsay==6.1]
    env: [COWSAY_KEY, {name: COWSAY_VOICE, required: false}]
    hosts: [api.cowsay.example]
    limits: {memory_mb: 256}
"""


def no_service_is_wrong(name: str, said: object) -> list[Problem]:
    return []


def read(text: str) -> Reading:
    return read_manifest(text.encode(), no_service_is_wrong)


def usable(text: str) -> Manifest:
    reading = read(text)
    assert reading.manifest is not None, reading.problems
    return reading.manifest


def test_all_that_can_be_said() -> None:
    reading = read(COW)
    manifest = reading.manifest
    assert manifest is not None
    assert reading.warnings == ()
    assert manifest.description == "A cow that says it."
    code = manifest.code["cowsay"]
    assert [(env.name, env.required) for env in code.env] == [("COWSAY_KEY", True), ("COWSAY_VOICE", False)]
    assert code.limits.limits() == Limits(memory_mb=256)


def test_a_row_is_a_row_of_the_house() -> None:
    providers = usable(COW).providers
    cow = providers["cowsay"].row("guest://cowsay")
    assert (cow.id, cow.name, cow.default_model, cow.models_listed) == ("cowsay", "Cowsay", "cow", False)
    assert (cow.auth.required, cow.local, cow.status) == (False, False, "plugin")
    moo = providers["moo"].row("https://moo.example/v1")
    assert (moo.auth.required, moo.key_env, moo.models_listed) == (True, ("MOO_KEY",), True)
    whisper = providers["whisper"].row("http://there")
    assert (whisper.local, whisper.capabilities) == (True, {Capability.AUDIO_TO_TEXT})


def test_a_newer_format_is_from_the_future_whatever_else_it_says() -> None:
    reading = read("plugin: 2\nid: [what, ever]\nquantum: true")
    assert (reading.future, reading.manifest) == (2, None)
    assert [str(problem) for problem in reading.problems] == [
        "plugin: is of a newer format than 1; update rhetor (is 2)"
    ]


def test_every_problem_at_once() -> None:
    """Each with path, value and remedy."""
    reading = read(
        """
plugin: 1
id: Cow say
version: 1.0
provider: {}
providers:
  a: {wire: openai, base_url: "https://a.example", capabilities: [mooing], modles: [x]}
  B: {wire: openai}
code:
  x: {language: cobol, main: /etc/passwd, limits: {memory_mb: 1, speed: 9}, env: [a b]}
"""
    )
    said = [str(problem) for problem in reading.problems]
    assert [line.partition(" (is ")[0][:70] for line in said] == [
        "id: must begin with a small letter, and go on with small letters, digi",
        "version: must be text; put it in quotes",
        "providers.a.capabilities[0]: must be 'text-to-text', 'embeddings', 'co",
        "providers.a.modles: no such setting here; did you mean models?",
        "providers.B: must begin with a small letter, and go on with small lett",
        "code.x.language: must be 'python' or 'javascript'",
        "code.x.main: must be a file of the plugin, such as provider.py",
        "code.x.env[0].name: must be the name of a variable",
        "code.x.limits.memory_mb: must be at least 16",
        "code.x.limits.speed: no such setting here; see docs/plugins.md",
        "provider: no such setting here; did you mean providers?",
    ]


ROW = "plugin: 1\nid: x\nproviders: {{x: {{{}}}}}"
OPENAI = 'wire: openai, base_url: "https://x.example"'
WRONG = {
    "nothing": ("plugin: 1\nid: x", "providers: brings nothing"),
    "no version of the format": ("id: x", "plugin: is required"),
    "an unknown language": (ROW.format('wire: klingon, base_url: "https://x.example"'), "no such language"),
    "no address": (ROW.format("wire: openai"), "base_url: must be an address such as https://host/v1"),
    "a password": (ROW.format('wire: openai, base_url: "https://u:p@x.example"'), "must be an address"),
    "a file": (ROW.format('wire: openai, base_url: "file:///etc/passwd"'), "must be an address"),
    "in clear": (ROW.format('wire: openai, base_url: "http://x.example"'), "would send the key in clear"),
    "inside": (ROW.format('wire: openai, base_url: "https://10.0.0.1/v1"'), "say `local: true`"),
    "the cloud": (
        ROW.format('wire: openai, local: true, base_url: "http://169.254.169.254/latest"'),
        "leads to where a cloud tells its machines their secrets",
    ),
    "signed with what others own": (
        ROW.format(OPENAI + ", signing: {scheme: google}"),
        "providers.x.signing: is for built-in providers only",
    ),
    "a place": (ROW.format(OPENAI + ", place: {region: [HOME]}"), "is for built-in providers only"),
    "an address by variable": (ROW.format(OPENAI + ", base_url_env: [X]"), "is for built-in providers only"),
    "no such program": (ROW.format("wire: guest, code: y"), "providers.x.code: no such code; add it to code"),
    "no such service": (ROW.format("wire: openai, service: y"), "no such service; add it to services"),
    "a guest without a program": (
        ROW.format('wire: guest, base_url: "https://x.example"'),
        "is guest for a program",
    ),
    "a default that is none": (
        ROW.format(OPENAI + ", models: [a], default_model: b"),
        "providers.x.default_model: is not among its models",
    ),
    "a requirement that is an option": (
        "plugin: 1\nid: x\nproviders: {x: {wire: guest, code: x}}\n"
        "code: {x: {language: python, main: a.py, requirements: ['--index-url=http://x']}}",
        "code.x.requirements[0]: must name a package of the registry",
    ),
    "a requirement that is an address": (
        "plugin: 1\nid: x\nproviders: {x: {wire: guest, code: x}}\n"
        "code: {x: {language: javascript, main: a.js, requirements: ['x@git+https://y']}}",
        "code.x.requirements[0]: must name a package of the registry",
    ),
    "colours": ('plugin: 1\nid: x\nname: "\\e[31mred"', "there are characters that cannot be shown"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG)
def test_what_no_manifest_may_say(text: str, why: str) -> None:
    reading = read(text)
    assert reading.manifest is None
    assert any(why in str(problem) for problem in reading.problems), reading.problems


def test_a_local_server_may_be_inside() -> None:
    usable(ROW.format('wire: openai, local: true, base_url: "http://127.0.0.1:9000/v1"'))


def test_what_is_odd_is_said() -> None:
    reading = read(
        COW.replace("cowsay==6.1", "cowsay").replace("code: cowsay,", "code: other,")
        + "  other: {language: python, main: b.py}\n"
    )
    assert reading.warnings == (
        "code.cowsay: no provider uses it",
        "code.cowsay.requirements: cowsay is not pinned: another day it is another program",
    )


def test_the_example_of_the_documentation_is_a_manifest() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
    text = page.partition("```yml\n")[2].partition("```")[0]
    reading = read_manifest(text.encode(), service_problems)
    assert reading.manifest is not None, reading.problems
    assert reading.warnings == ()
