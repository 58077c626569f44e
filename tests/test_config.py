"""The configuration: nothing is valid, everything wrong is said at once, and no secret is ever shown back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from rhetor.config import (
    Config,
    ConfigError,
    find,
    is_loopback,
    load,
    resolve_secret,
    without_effect,
)

SECRET = "sk-canary-0123456789abcdef"
PLAIN_SECRET = "correct horse battery staple"
"""A secret that no pattern recognises."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rhetor.yaml"


def problems(file: Path, text: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is wrong with a file, by path."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return {problem.path: str(problem) for problem in caught.value.problems}


# What is valid.


def test_no_file_is_a_valid_configuration() -> None:
    config = load(None, {})
    assert config == Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8003)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "{}", "server:\nproviders:\nroutes:\n"])
def test_an_empty_file_means_the_defaults(file: Path, text: str) -> None:
    file.write_text(text)
    assert load(file, {}) == Config()


def test_a_provider_with_nothing_behind_it_is_switched_on(file: Path) -> None:
    file.write_text("providers:\n  anthropic:\n  openai: {}\n")
    providers = load(file, {}).providers
    assert list(providers) == ["anthropic", "openai"]
    assert providers["anthropic"] == providers["openai"]


def test_a_json_file_loads_too(tmp_path: Path) -> None:
    file = tmp_path / "rhetor.json"
    file.write_text('{\n\t"server": {\n\t\t"port": 9000\n\t}\n}')  # tabs, which YAML does not take
    assert load(file, {}).server.port == 9000


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbflogs: {level: debug}")
    assert load(file, {}).logs.level == "debug"


def test_origins_are_compared_as_browsers_send_them(file: Path) -> None:
    file.write_text(
        "server: {allowed_origins: ['https://App.Example.org/'], allowed_hosts: [Rhetor.Lan, '::1']}"
    )
    server = load(file, {}).server
    assert server.allowed_origins == ("https://app.example.org",)
    assert server.allowed_hosts == ("rhetor.lan", "::1")


def test_what_looks_like_a_date_is_text(file: Path) -> None:
    file.write_text("providers: {lab: {models: [2026-11-20]}}")
    assert load(file, {}).providers["lab"].models == ("2026-11-20",)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(None, {}).server.port = 1  # type: ignore[misc]


# What is wrong.

WRONG = """
server: {host: 0.0.0.0, port: eight, max_body_mb: 0, hots: x, allowed_origins: ["*"], allowed_hosts: ["a:80"]}
providers:
  lab: {wire: 5, base_url: lab:9000, models: small, api_key: x, enabled: perhaps}
  Big: {}
  odd: {quirks: {max_token_field: x}, auth: {headers: x}}
routes:
  fast: {targets: lab/small}
  slow: {targets: []}
  none:
  "a b": {targets: [lab/small]}
  quick: {targets: [lab/small], timeouts: {connect_s: 1}}
aliases: {fast: lab/small, best: quickest, quickest: lab/small, slow: lab/small}
timeouts: {idle_s: -1, total_s: forever}
logs: {level: loud}
log: {level: debug}
"""


@pytest.mark.promise("J32", "P25")
def test_every_problem_is_said_at_once(file: Path) -> None:
    """Each with its path, its value where it may be shown, and what to do."""
    assert problems(file, WRONG) == {
        path: f"{path}: {words}"
        for path, words in {
            "server.host": "listening beyond this machine needs server.tokens, or strangers spend your keys; "
            "set them, or listen on 127.0.0.1 (is 0.0.0.0)",
            "server.port": "must be a whole number (is 'eight')",
            "server.max_body_mb": "must be at least 1 (is 0)",
            "server.hots": "no such setting here; did you mean host?",
            "server.allowed_origins[0]": "must be a page's scheme, host and port, such as "
            "https://app.example.org (is '*')",
            "server.allowed_hosts[0]": "must be a host's name alone, such as rhetor.example.org (is 'a:80')",
            "providers.lab.wire": "must be text; put it in quotes (is 5)",
            "providers.lab.base_url": "must be an address such as https://host/v1 (is 'lab:9000')",
            "providers.lab.models": "must be a list: [one, another] (is 'small')",
            "providers.lab.api_key": "no such setting here; did you mean key?",
            "providers.lab.enabled": "must be true or false (is 'perhaps')",
            "providers.Big": "must begin with a small letter, and go on with small letters, digits, _ and -",
            "providers.odd.quirks.max_token_field": "no such setting here; did you mean max_tokens_field?",
            "providers.odd.auth.headers": "no such setting here; did you mean header?",
            "routes.fast.targets": "must be a list: [one, another] (is 'lab/small')",
            "routes.slow.targets": "must not be empty (is a list)",
            "routes.none": "must hold settings, each as `name: value` (is empty)",
            "routes.a b": "must begin with a letter or digit, and go on with letters, digits and . _ : - "
            "(is 'a b')",
            "routes.quick.timeouts.connect_s": "no such setting here; see docs/configuration.md",
            "aliases.best": "must name a route or a model, not an alias (is quickest)",
            "timeouts.idle_s": "must be more than 0 (is -1)",
            "timeouts.total_s": "must be a number (is 'forever')",
            "logs.level": "must be 'debug', 'info', 'warning' or 'error' (is 'loud')",
            "log": "no such setting here; did you mean logs?",
        }.items()
    }


def test_a_route_and_an_alias_of_the_same_name_are_refused(file: Path) -> None:
    found = problems(file, "routes: {fast: {targets: [a/b]}}\naliases: {fast: a/c}")
    assert found == {"aliases.fast": "aliases.fast: is a route's name already; rename one of them"}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("server: [1]", "server", "must hold settings"),
        ("server: 8003", "server", "must hold settings"),
        ("providers: [anthropic]", "providers", "must hold settings"),
        ("routes: {fast: {}}", "routes.fast.targets", "is required"),
        ("routes: {fast: {targets: [a/b], timeouts: {idle_s: null, total_s: .inf}}}",
         "routes.fast.timeouts.total_s", "must be at most 86400"),
        ("providers: {lab: {capabilities: [chat]}}", "providers.lab.capabilities[0]", "must be 'text"),
        ("server: {port: 65536}", "server.port", "must be at most 65535"),
        ("server: {port: 80.5}", "server.port", "must be a whole number"),
        ("server: {tokens: [env:T]}", "server.tokens", "must hold settings"),
        ("1: 2", "[1]", "Keys should be strings"),
        ("providers: {1: {}}", "providers[1]", "must be text"),
        ("providers: {lab: {models: [1.5]}}", "providers.lab.models[0]", "put it in quotes (is 1.5)"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_named_with_its_path(file: Path, text: str, path: str, words: str) -> None:
    found = problems(file, text)
    assert list(found) == [path]
    assert words in found[path]


def test_what_is_left_of_a_wrong_file_is_kept_for_looking_on(file: Path) -> None:
    file.write_text(WRONG)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert caught.value.rest is not None
    assert list(caught.value.rest.providers) == ["lab", "odd"]
    assert list(caught.value.rest.routes) == []


# Files that cannot be read.


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml", {})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b"server: \xff")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load(file, {})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("server:\n  port: [1\nlogs: {}\n", ":3:5: not valid YAML"),
        ("server:\n\tport: 1\n", ":2:1: not valid YAML"),
        ("logs: {}\nserver: {}\nlogs: {}\n", ":3:1: not valid YAML: 'logs' is there twice"),
        ("providers:\n  a: {}\n  a: {}\n", ":3:3: not valid YAML: 'a' is there twice"),
        ("server: !!python/object:os.system {}\n", ":1:9: not valid YAML"),
        ("- server\n", ": must hold sections"),
        ("server\n", ": must hold sections"),
    ],
)
def test_a_syntax_error_is_said_with_line_and_column(file: Path, text: str, where: str) -> None:
    assert f"{file}{where}" in next(iter(problems(file, text).values()))


def test_json_errors_have_a_line_too(tmp_path: Path) -> None:
    file = tmp_path / "rhetor.json"
    assert f"{file}:2:1: not valid JSON" in next(iter(problems(file, '{"server": {},\n}').values()))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
@pytest.mark.parametrize("name", ["rhetor.json", "rhetor.yaml"])
def test_a_file_that_is_nested_without_end_is_a_problem(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert "nested too deeply" in next(iter(problems(file, text).values()))
    assert "'logs' is there twice" in next(iter(problems(file, '{"logs": {}, "logs": {}}').values()))


# Secrets.


@pytest.mark.parametrize("secret", [SECRET, PLAIN_SECRET])
@pytest.mark.parametrize(
    "text",
    [
        "providers: {{openai: {{key: {0}}}}}",
        "providers: {{openai: {{api_key: {0}}}}}",
        "providers: {{openai: {0}}}",
        "providers: {{openai: [{0}]}}",
        "providers: {{openai: {{headers: {{Authorization: Bearer {0}}}}}}}",
        "providers: {{openai: {{headers: {{x-team: [{0}]}}}}}}",
        "providers: {{lab: {{base_url: 'https://me:{0}@lab/v1'}}}}",
        "server: {{tokens: {{me: {0}}}}}",
        "server: {{tokens: {0}}}",
        "server: {{tokens: [{0}]}}",
    ],
)
def test_a_secret_in_clear_is_refused_and_not_shown_back(file: Path, text: str, secret: str) -> None:
    found = problems(file, text.format(secret))
    assert found
    assert secret not in str(found)


def test_a_token_in_the_place_of_its_name_is_not_shown_back(file: Path) -> None:
    assert SECRET not in str(problems(file, f"server: {{tokens: {{{SECRET}: me}}}}"))


def test_the_remedy_for_a_secret_in_clear_is_a_reference(file: Path) -> None:
    found = problems(file, f"providers: {{openai: {{key: {SECRET}}}}}")
    assert found == {
        "providers.openai.key": "providers.openai.key: secrets are references: write env:NAME or file:PATH"
    }


@pytest.mark.parametrize("reference", ["env:", "file:", "env", "vault:x", ":x", ""])
def test_only_env_and_file_are_references(file: Path, reference: str) -> None:
    assert list(problems(file, f"server: {{tokens: {{me: '{reference}'}}}}")) == ["server.tokens.me"]


def test_a_reference_to_a_variable(file: Path) -> None:
    file.write_text("server: {tokens: {me: env:MY_TOKEN}}")
    assert load(file, {"MY_TOKEN": "t"}).server.tokens == {"me": "env:MY_TOKEN"}
    assert resolve_secret("env:MY_TOKEN", {"MY_TOKEN": " with-newline\n"}) == "with-newline"


def test_a_reference_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-a-file\n")
    assert resolve_secret(f"file:{path}", {}) == "from-a-file"


def test_a_file_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("at-home")
    assert resolve_secret("file:~/token", {}) == "at-home"


def test_a_reference_that_leads_nowhere_says_what_is_missing(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for reference, words in {
        "env:MY_TOKEN": "the variable MY_TOKEN is not set",
        f"file:{tmp_path}/none": f"cannot read {tmp_path}/none: No such file or directory",
        f"file:{empty}": f"{empty} is empty",
        f"file:{binary}": f"cannot read {binary}: not text",
    }.items():
        with pytest.raises(LookupError) as caught:
            resolve_secret(reference, {"MY_TOKEN": ""})
        assert str(caught.value) == words


def test_a_token_that_cannot_be_found_is_a_problem(file: Path) -> None:
    found = problems(file, "server: {tokens: {me: env:MY_TOKEN, you: env:YOUR_TOKEN}}", {"YOUR_TOKEN": "t"})
    assert found == {
        "server.tokens.me": "server.tokens.me: the variable MY_TOKEN is not set; set it, or remove this line "
        "(is env:MY_TOKEN)"
    }


# Beyond this machine.


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example.org", ""])
def test_listening_beyond_this_machine_needs_a_token(file: Path, host: str) -> None:
    text = f"server: {{host: '{host}'}}"
    assert "needs server.tokens" in problems(file, text)["server.host"]
    file.write_text(f"server: {{host: '{host}', tokens: {{me: env:T}}}}")
    assert load(file, {"T": "t"}).server.host == host


def test_a_token_at_fault_is_said_once(file: Path) -> None:
    """There are tokens, so their absence is not what is wrong."""
    found = problems(file, "server: {host: 0.0.0.0, tokens: {me: in-clear}}")
    assert list(found) == ["server.tokens.me"]


def test_a_variable_opens_no_door_either(file: Path) -> None:
    assert "needs server.tokens" in problems(file, "", {"RHETOR_HOST": "0.0.0.0"})["server.host"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("secret", "said"),
    [("", "the variable JWT_SECRET is not set"), ("x" * 31, "a secret of 31 bytes can be guessed")],
)
def test_a_secret_that_signs_must_be_there_and_long(file: Path, secret: str, said: str) -> None:
    text = "sessions: {jwt_secret: 'env:JWT_SECRET'}"
    assert said in problems(file, text, {"JWT_SECRET": secret})["sessions.jwt_secret"]
    file.write_text(text)
    assert load(file, {"JWT_SECRET": "x" * 32}).sessions.jwt_secret == "env:JWT_SECRET"


# Variables.


@pytest.mark.parametrize(
    ("variable", "value", "section", "setting", "meant"),
    [
        ("RHETOR_PORT", "9000", "server", "port", 9000),
        ("RHETOR_HOST", "localhost", "server", "host", "localhost"),
        ("RHETOR_SERVER_PORT", "0", "server", "port", 0),
        ("RHETOR_SERVER_SHUTDOWN_GRACE_S", "2.5", "server", "shutdown_grace_s", 2.5),
        ("RHETOR_LOGS_LEVEL", "debug", "logs", "level", "debug"),
        ("RHETOR_LOGS_FORMAT", "json", "logs", "format", "json"),
        ("RHETOR_DISCOVERY_ENABLED", "false", "discovery", "enabled", False),
        ("RHETOR_DISCOVERY_LOCAL", "0", "discovery", "local", False),
        ("RHETOR_TIMEOUTS_TOTAL_S", "30", "timeouts", "total_s", 30.0),
    ],
)  # fmt: skip
def test_a_variable_wins_over_the_file(
    file: Path, variable: str, value: str, section: str, setting: str, meant: object
) -> None:
    file.write_text("server: {port: 7000, max_body_mb: 5}\nlogs: {level: error}")
    config = load(file, {variable: value})
    assert getattr(getattr(config, section), setting) == meant
    assert config.server.max_body_mb == 5


def test_a_variable_reaches_into_a_section(file: Path) -> None:
    file.write_text("sessions: {warm_s: 5, claude_code: {max_sessions: 3, enabled: false}}")
    environ = {
        "RHETOR_SESSIONS_CLAUDE_CODE_ENABLED": "true",
        "RHETOR_SESSIONS_CHAT_CONTEXT_TOKENS": "4000",
        "RHETOR_SESSIONS_JWT_SECRET": "env:JWT_SECRET",
        "RHETOR_STORE_FOLDER": ":memory:",
        "JWT_SECRET": "x" * 32,
    }
    config = load(file, environ)
    assert (config.sessions.claude_code.enabled, config.sessions.claude_code.max_sessions) == (True, 3)
    assert (config.sessions.chat.context_tokens, config.sessions.warm_s) == (4000, 5)
    assert (config.sessions.jwt_secret, config.store.folder) == ("env:JWT_SECRET", ":memory:")
    assert without_effect(environ) == []


def test_the_longer_name_wins() -> None:
    assert load(None, {"RHETOR_PORT": "1", "RHETOR_SERVER_PORT": "2"}).server.port == 2


def test_an_empty_variable_is_none() -> None:
    assert load(None, {"RHETOR_PORT": "", "RHETOR_LOGS_LEVEL": ""}) == Config()


def test_bad_variables_are_problems_under_the_name_that_was_used(file: Path) -> None:
    found = problems(
        file,
        "logs: {format: xml}",
        {"RHETOR_PORT": "many", "RHETOR_LOGS_LEVEL": "loud", "RHETOR_TIMEOUTS_IDLE_S": "0"},
    )
    assert found == {
        "RHETOR_PORT": "RHETOR_PORT: must be a whole number (is 'many')",
        "RHETOR_TIMEOUTS_IDLE_S": "RHETOR_TIMEOUTS_IDLE_S: must be more than 0 (is '0')",
        "RHETOR_LOGS_LEVEL": "RHETOR_LOGS_LEVEL: must be 'debug', 'info', 'warning' or 'error' (is 'loud')",
        "logs.format": "logs.format: must be 'console' or 'json' (is 'xml')",
    }


def test_what_kubernetes_sets_for_a_service_of_our_name_means_nobody() -> None:
    announced = {
        "RHETOR_PORT": "tcp://10.0.0.1:8003",
        "RHETOR_SERVICE_HOST": "10.0.0.1",
        "RHETOR_PORT_8003_TCP_PROTO": "tcp",
    }
    assert load(None, announced) == Config()
    assert without_effect(announced) == []


def test_a_variable_without_effect_is_noticed() -> None:
    environ = {
        "RHETOR_LOG_LEVEL": "debug",
        "RHETOR_SERVER_TOKENS": "x",
        "RHETOR_BANANA": "x",
        "RHETOR_URL": "http://localhost:8003",
        "RHETOR_AUTH_TOKEN": SECRET,
        "RHETOR_PORT": "1",
        "RHETOR_CONFIG": "x.yaml",
    }
    assert [str(problem) for problem in without_effect(environ)] == [
        "RHETOR_BANANA: has no effect",
        "RHETOR_LOG_LEVEL: has no effect; did you mean RHETOR_LOGS_LEVEL?",
        "RHETOR_SERVER_TOKENS: has no effect; set server.tokens in the file",
    ]


def test_what_is_no_single_value_has_no_variable() -> None:
    environ = {
        "RHETOR_SESSIONS_CHAT": "x",
        "RHETOR_SESSIONS_OPENCODE_MODELS": "a",
        "RHETOR_SESSIONS_OPENCODE_ENABLE": "1",
    }
    assert load(None, environ) == Config()
    assert [str(problem) for problem in without_effect(environ)] == [
        "RHETOR_SESSIONS_CHAT: has no effect; did you mean RHETOR_SESSIONS_CHAT_KEEP_S?",
        "RHETOR_SESSIONS_OPENCODE_ENABLE: has no effect; did you mean RHETOR_SESSIONS_OPENCODE_ENABLED?",
        "RHETOR_SESSIONS_OPENCODE_MODELS: has no effect; set sessions.opencode.models in the file",
    ]


def test_an_unknown_setting_deep_inside_is_told_with_what_was_meant(file: Path) -> None:
    found = problems(file, "sessions: {claude_code: {enabld: true}, chat: {context: 5}, turns_s: 5}")
    assert found == {
        "sessions.claude_code.enabld": "sessions.claude_code.enabld: no such setting here; "
        "did you mean enabled?",
        "sessions.chat.context": "sessions.chat.context: no such setting here; did you mean context_tokens?",
        "sessions.turns_s": "sessions.turns_s: no such setting here; did you mean turn_s?",
    }


# Which file.


def test_the_named_file_counts_most(tmp_path: Path) -> None:
    (tmp_path / "rhetor.yaml").touch()
    assert find("a.yaml", {"RHETOR_CONFIG": "b.yaml"}, tmp_path) == Path("a.yaml")
    assert find(None, {"RHETOR_CONFIG": "b.yaml"}, tmp_path) == Path("b.yaml")
    assert find(None, {}, tmp_path) == tmp_path / "rhetor.yaml"


def test_without_any_file_there_is_none(tmp_path: Path) -> None:
    assert find(None, {}, tmp_path) is None
    (tmp_path / "rhetor.json").touch()
    assert find(None, {}, tmp_path) == tmp_path / "rhetor.json"


def test_any_configuration_that_loads_says_the_same_when_written_again(file: Path) -> None:
    """What a configuration prints can be loaded."""
    file.write_text(
        "server: {port: 0}\nproviders: {lab: {wire: openai, base_url: 'http://lab/v1', models: [a]}}"
    )
    first = load(file, {})
    file.write_text(yaml.safe_dump(first.model_dump(mode="json", exclude_defaults=True)))
    assert load(file, {}) == first


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("rules: {component_task: {ergon: fast}}", "rules.component_task.ergon", "a component and a task"),
        ("rules: {task: {a/b: fast}}", "rules.task.a/b", "must be one word, without a slash"),
        ("rules: {tasks: {code: fast}}", "rules.tasks", "did you mean task?"),
        ("routes: {r: {targets: [{target: a/b, wieght: 2}]}}", "routes.r.targets[0].wieght", "mean weight?"),
        ("routes: {r: {targets: [{target: a/b, weight: 0}]}}", "routes.r.targets[0].weight", "at least 1"),
        ("routes: {r: {targets: [7]}}", "routes.r.targets[0]", "must hold settings"),
        ("routes: {r: {targets: [a/b], strategy: fast}}", "routes.r.strategy", "'least_busy'"),
    ],
)
def test_rules_and_routes_that_say_nonsense(file: Path, text: str, path: str, words: str) -> None:
    assert words in problems(file, text)[path]


def test_one_of_several_keys_in_clear_is_not_shown_back(file: Path) -> None:
    found = problems(file, f"providers: {{lab: {{keys: [env:A, {PLAIN_SECRET}]}}}}")
    assert "secrets are references" in found["providers.lab.keys[1]"]
    assert PLAIN_SECRET not in str(found)


def test_the_default_rule_has_a_variable() -> None:
    assert load(None, {"RHETOR_RULES_DEFAULT": "offline/echo"}).rules.default == "offline/echo"
