"""The chat platform's variables in our words, where `RHETOR_COMPAT=chat` says that they are meant for us.

Its names have no prefix: `JWT_SECRET` may be anybody's secret, and must not
open a door because it happens to be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rhetor.config.earlier import Found
from rhetor.config.sections import PROVIDER_ID
from rhetor.config.variables import COMPAT
from rhetor.providers.builtin import load_builtin

WORD = "chat"
DAY_S = 86_400
LEVELS = {"warn": "warning", "http": "debug", "verbose": "debug", "silly": "debug", "trace": "debug"}
"""What the platform's logger calls otherwise."""
DEFAULT_MODEL = "sessions.chat.default_model"
FIRST = "openai"
"""Whose model is the default where several are named."""


class Row(NamedTuple):
    variable: str
    setting: str | None
    remark: str = ""
    means: str = ""
    meant: Callable[[str], Any] = str


def _days(text: str) -> float | str:
    try:
        return float(text) * DAY_S
    except ValueError:
        return text


def _level(text: str) -> str:
    return LEVELS.get(text.lower(), text.lower())


ROWS: tuple[Row, ...] = (
    Row(
        "JWT_SECRET",
        "sessions.jwt_secret",
        means="signs the platform's tokens",
        meant=lambda _: "env:JWT_SECRET",
    ),
    Row("MAX_CONTEXT_TOKENS", "sessions.chat.context_tokens"),
    Row("SUMMARIZATION_THRESHOLD", "sessions.chat.summarize_tokens"),
    Row("SESSION_TTL_DAYS", "sessions.expire_s", meant=_days),
    Row("LOG_LEVEL", "logs.level", meant=_level),
    Row("PORT", None, "set server.port"),
    Row("CLIENT_URL", None, "set server.allowed_origins, if its page is to call"),
    Row("MONGO_URI", None, "sessions are stored in store.folder"),
    Row("REDIS_URL", None, "sessions are stored in store.folder"),
    Row("RATE_LIMIT_WINDOW_MS", None, "how often callers may ask is not set"),
    Row("RATE_LIMIT_MAX_REQUESTS", None, "how often callers may ask is not set"),
    Row("ENABLE_METRICS", None, "they are at /metrics, always"),
    Row("DIALOGFLOW_PROJECT_ID", None, "there is no Dialogflow among the providers"),
)
PROVIDER_ROWS = ("_API_KEY", "_ENDPOINT", "_MODEL")
"""How the three variables of a provider end."""


def find(environ: Mapping[str, str]) -> list[Found]:
    """What is set under the platform's names, where they are ours to take."""
    words = set(filter(None, re.split(r"[,\s]+", environ.get(COMPAT, "").lower())))
    strange = [Found(COMPAT, None, None, f"it knows the word {WORD!r} only") for _ in words - {WORD}]
    if WORD not in words:
        return strange[:1]
    rows = [
        Found(row.variable, row.meant(environ[row.variable]), row.setting, row.remark, row.means)
        for row in ROWS
        if environ.get(row.variable)
    ]
    return [*strange[:1], *rows, *_providers(environ)]


def _providers(environ: Mapping[str, str]) -> Iterator[Found]:
    """`NAME_API_KEY` with `NAME_ENDPOINT` or `NAME_MODEL` is a provider."""
    known = load_builtin()
    names = [key.removesuffix("_API_KEY") for key in environ if key.endswith("_API_KEY") and environ[key]]
    ids = {name.lower().replace("_", "-"): name for name in names}
    for id in sorted(ids, key=lambda id: (id != FIRST, id)):
        if re.fullmatch(PROVIDER_ID, id):
            yield from _provider(id, ids[id], id in known, environ)


def _provider(id: str, name: str, known: bool, environ: Mapping[str, str]) -> Iterator[Found]:
    endpoint, model = environ.get(f"{name}_ENDPOINT"), environ.get(f"{name}_MODEL")
    if endpoint:
        address = endpoint.removesuffix("/").removesuffix("/chat/completions")
        yield Found(f"{name}_ENDPOINT", address, f"providers.{id}.base_url")
        if not known:
            speaks = f"makes {id} a provider that speaks OpenAI's language"
            yield Found(f"{name}_ENDPOINT", "openai", f"providers.{id}.wire", means=speaks)
            key = f"env:{name}_API_KEY"
            yield Found(f"{name}_API_KEY", key, f"providers.{id}.key", means=f"is the key of {id}")
    if model and (endpoint or known):
        yield Found(f"{name}_MODEL", f"{id}/{model}", DEFAULT_MODEL)
    elif model:
        yield Found(f"{name}_MODEL", model, None, f"nothing says where {id} is; set {name}_ENDPOINT")
