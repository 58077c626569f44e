"""JavaScript clients are pointed at the gateway where that is beyond doubt; everything else stays."""

from __future__ import annotations

import pytest

from tests.migrate.reading import read, why_not, written

HEAD = "import OpenAI from 'openai';\n"
BASE = "baseURL: (process.env.RHETOR_URL ?? 'http://localhost:8003') + '/v1'"
KEY = "apiKey: process.env.RHETOR_AUTH_TOKEN || 'none'"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("new OpenAI", f"new OpenAI({{\n  {BASE},\n  {KEY},\n}})"),
        ("new OpenAI()", f"new OpenAI({{\n  {BASE},\n  {KEY},\n}})"),
        ("new OpenAI({})", f"new OpenAI({{\n  {BASE},\n  {KEY},\n}})"),
        ("new OpenAI({ apiKey, timeout: 1 })", f"new OpenAI({{\n  {BASE},\n  {KEY},\n  timeout: 1,\n}})"),
        (
            "new OpenAI({\r\n\tapiKey: a ? b : c, // one\r\n\ttimeout: 1\r\n})",
            f"new OpenAI({{\r\n\t{BASE},\r\n\t{KEY}, // one\r\n\ttimeout: 1\r\n}})",
        ),
        (
            "new OpenAI({ baseURL: 'https://api.openai.com/v1', maxRetries: 1 })",
            f"new OpenAI({{\n  {BASE},\n  {KEY},\n  maxRetries: 1,\n}})",
        ),
    ],
)
def test_options_are_put_in_and_the_rest_stays(before: str, after: str) -> None:
    head = HEAD.replace("\n", "\r\n") if "\r" in before else HEAD
    text = written(f"{head}const c = {before};", "a.ts")
    assert text == f"{head}const c = {after};"
    assert not read(text, "a.ts").changes


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("new OpenAI(options)", "come from elsewhere"),
        ("new OpenAI({ ...options })", "come from elsewhere"),
        ("new OpenAI({ baseURL: url })", "somewhere else"),
        ("new OpenAI({ baseURL: 'https://api.groq.com/openai/v1' })", "somewhere else"),
        ("new OpenAI({ fetch: mine })", "`fetch`"),
        ("new OpenAI(); window.x = 1", "in a page"),
        ("new OpenAI(); c.files.create()", "does not serve"),
        ("new OpenAI({ /* mind */ timeout: 1 })", "a comment"),
        ("new OpenAI({ timeout: 1 /* ms */, maxRetries: 0 })", "a comment"),
        ("new OpenAI(/* none */)", "a comment"),
        ("new OpenAI({\n  apiKey: a /* or */ ?? b,\n})", "a comment"),
        ("new OpenAI(); function f(process) {}", "process means"),
        ("new OpenAI(); const process = { env: {} }", "process means"),
        ("new OpenAI(); const { a, process: b, ...process } = d", "process means"),
        ("new OpenAI(); f((process: P) => 1)", "process means"),
        ("new OpenAI(); f(process => 1)", "process means"),
        ("new OpenAI(); async function* process() {}", "process means"),
        ("new OpenAI(); import { a as process } from './b'", "process means"),
    ],
)
def test_what_is_not_beyond_doubt_stays(call: str, reason: str) -> None:
    assert reason in why_not(f"{HEAD}const c = {call};", "a.js")


@pytest.mark.parametrize(
    "text",
    [
        "import process from 'node:process';",
        "const { env } = process;",
        "this.process(process.argv[2]);",
        "class A { async process(a) { return 'process' } }",
        "if (typeof process !== 'undefined') a.process = 1;",
        "// process, a comment\n/* another */",
    ],
)
def test_what_only_looks_like_another_process_does_not_matter(text: str) -> None:
    assert "process.env.RHETOR_URL" in written(
        f"{HEAD}{text}\nconst c = new OpenAI({{\n  // mine\n  timeout: 1\n}});", "a.ts"
    )


def test_a_client_inside_of_another_one_does_not_wait_for_a_second_run() -> None:
    once = written(f"{HEAD}new OpenAI({{ timeout: new OpenAI({{ timeout: 1 }}).timeout }})", "a.ts")
    assert once.count("RHETOR_URL") == 1
    assert written(once, "a.ts") == once


def test_pages_hold_no_keys() -> None:
    assert "in a page" in why_not(f"<script>{HEAD}new OpenAI()</script>", "a.html")
