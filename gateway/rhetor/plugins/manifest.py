"""What a plugin says it is: `rhetor-plugin.yaml` as frozen models, and all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rhetor.core.addresses import is_inside, is_link_local
from rhetor.core.capability import Capability, Feature
from rhetor.core.value import value
from rhetor.plugins.guest.spec import Limits
from rhetor.plugins.reading import Problem, Unreadable, read_mapping
from rhetor.providers.spec import AuthSpec, ProviderRow
from rhetor.wire.languages import WIRES

FILE = "rhetor-plugin.yaml"
FORMAT = 1
GUEST = "guest"
ID = r"^[a-z][a-z0-9_-]{0,63}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
PYTHON_REQUIREMENT = (
    r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._ -]*\])?[\s0-9A-Za-z.,<>=!~*+_-]*(;[^\n]*)?$"
)
NPM_REQUIREMENT = r"^(@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*(@[0-9A-Za-z.^~<>=*+_ |-]+)?$"
BUILT_IN_ONLY = frozenset({"signing", "place", "elsewhere", "base_url_env", "status"})
"""What reads more of this machine than a plugin may: the credentials of other tools, say."""
HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
LINK_LOCAL = "leads to where a cloud tells its machines their secrets"
MOST = 200  # of each kind in one plugin
MOST_MODELS = 5_000
LONGEST = 4_000  # characters


def _line(text: str) -> str:
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
        raise ValueError("must be plain text, without control characters")
    return " ".join(text.split())


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not path.parts:
        raise ValueError("must be a file of the plugin, such as provider.py")
    return str(path)


Line = Annotated[str, Field(max_length=LONGEST), AfterValidator(_line)]
Id = Annotated[str, Field(pattern=ID)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Inside = Annotated[str, Field(max_length=LONGEST), AfterValidator(_inside)]
Host = Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?$")]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelPart(Part):
    """A model that is on offer."""

    id: Line = Field(min_length=1, max_length=200)
    name: Line | None = None
    description: Line | None = None
    capabilities: frozenset[Capability] | None = None
    """Those of its provider, unless it says otherwise."""
    features: frozenset[Feature] | None = None
    context_tokens: int | None = Field(None, ge=1)
    max_output_tokens: int | None = Field(None, ge=1)


def _model(said: object) -> object:
    return {"id": said} if isinstance(said, str) else said


class PluginRow(ProviderRow):
    """A provider: a row as in the built-in table, and where it runs if the plugin brings that, too."""

    name: Line = ""
    base_url: str = ""
    """Of a service: below which path it answers, such as /v1. A program has none."""
    code: Id | None = None
    """Which program of `code` answers."""
    service: Id | None = None
    """Which server of `services` answers."""
    models: tuple[Annotated[ModelPart, BeforeValidator(_model)], ...] = Field((), max_length=MOST_MODELS)
    """The only models it may be asked for; empty: those it lists."""

    def row(self, base_url: str) -> ProviderRow:
        """The row alone, for a provider that answers there."""
        said = {
            name: getattr(self, name) for name in self.model_fields_set if name in ProviderRow.model_fields
        }
        if self.models:
            said = {"default_model": self.models[0].id, "models_listed": False, **said}
        if self.code is not None or self.service is not None:
            said = {"auth": AuthSpec(required=False), "local": self.service is not None, **said}
        more = {"base_url": base_url, "name": self.name or self.id, "status": "plugin"}
        return ProviderRow.model_validate({**said, **more})


class EnvPart(Part):
    """A variable that a program gets from the gateway's environment."""

    name: Variable
    required: bool = True
    """Without it the program's providers are off."""


def _env(said: object) -> object:
    return {"name": said} if isinstance(said, str) else said


class LimitsPart(Part):
    """How much a program may use; what is left out is as usual."""

    memory_mb: int | None = Field(None, ge=16, le=1 << 20)
    processes: int | None = Field(None, ge=1, le=4096)
    files: int | None = Field(None, ge=16, le=65_536)
    scratch_mb: int | None = Field(None, ge=1, le=1 << 20)
    cpu_s: int | None = Field(None, ge=1, le=86_400)
    calls: int | None = Field(None, ge=1, le=1_000)
    start_s: float | None = Field(None, ge=1, le=3_600)
    idle_stop_s: float | None = Field(None, ge=1, le=86_400)

    def limits(self) -> Limits:
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return Limits(**{name: each for name, each in said.items() if each is not None})


class CodePart(Part):
    """A program that speaks the provider protocol; it runs out of process."""

    language: Literal["python", "javascript"]
    main: Inside
    requirements: tuple[Line, ...] = Field((), max_length=MOST)
    """What it is installed with, in an environment of its own."""
    env: tuple[Annotated[EnvPart, BeforeValidator(_env)], ...] = Field((), max_length=MOST)
    hosts: tuple[Host, ...] = Field((), max_length=MOST)
    """Whom it says it calls."""
    limits: LimitsPart = LimitsPart()


class Requires(Part):
    """What must be there."""

    rhetor: str | None = Field(
        None, pattern=r"^\s*(>=|<=|==|!=|<|>)\s*\d+(\.\d+)*(\s*,\s*(>=|<=|==|!=|<|>)\s*\d+(\.\d+)*)*\s*$"
    )
    platforms: tuple[Literal["linux", "darwin", "win32"], ...] = ()
    """Empty: any."""
    programs: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")], Line] = Field(
        default_factory=dict, max_length=MOST
    )
    """Names of programs, and how one gets them: `espeak-ng: apt install espeak-ng`."""


class Manifest(Part):
    """The whole file."""

    plugin: Literal[1]
    """Version of this format."""
    id: Id
    name: Line = ""
    version: Line = Field("0", max_length=100)
    description: Line = ""
    author: Line = ""
    license: Line = ""
    homepage: Line = ""
    requires: Requires = Requires()
    providers: dict[Id, PluginRow] = Field(default_factory=dict, max_length=MOST)
    services: dict[Id, dict[str, Any]] = Field(default_factory=dict, max_length=MOST)
    """Local servers, as in the configuration's section `services`."""
    code: dict[Id, CodePart] = Field(default_factory=dict, max_length=MOST)


ServiceCheck = Callable[[str, Mapping[str, Any]], Sequence[Problem]]
"""What is wrong with a service, as whoever raises services sees it."""


@value(kw_only=True)
class Reading:
    """What became of a manifest."""

    file: str = FILE
    manifest: Manifest | None = None
    """None: it cannot be used."""
    future: int | None = None
    """The version of its format, when that is newer than ours."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def read_manifest(data: bytes, check_service: ServiceCheck) -> Reading:
    """What `rhetor-plugin.yaml` says, or everything that is wrong with it."""
    try:
        given = read_mapping(data, FILE)
    except Unreadable as error:
        return Reading(problems=(error.problem,))
    return manifest_of(given, check_service)


def manifest_of(
    given: Mapping[str, Any], check_service: ServiceCheck, file: str = FILE, warnings: Sequence[str] = ()
) -> Reading:
    """What these settings make, or everything that is wrong with them."""
    version = given.get("plugin")
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT:
        newer = Problem("plugin", f"is of a newer format than {FORMAT}; update rhetor", str(version))
        return Reading(file=file, future=version, problems=(newer,))
    problems: list[Problem] = []
    manifest = None
    try:
        manifest = Manifest.model_validate(_with_ids(given))
    except ValidationError as error:
        details = error.errors(include_url=False)
        # The id of a row is what it stands under, which is complained of there.
        ours = [each for each in details if each["loc"][:1] != ("providers",) or each["loc"][2:] != ("id",)]
        problems += map(problem_of, ours)
    else:
        problems += _contradictions(manifest)
    for name, service in _services_of(given).items():
        problems += check_service(name, service)
    usable = manifest if not problems else None
    noted = (*warnings, *(_noteworthy(manifest) if manifest is not None else ()))
    return Reading(file=file, manifest=usable, problems=tuple(problems), warnings=noted)


def _with_ids(given: Mapping[str, Any]) -> dict[str, Any]:
    """Rows are told their ids, which stand before them; what is empty is taken for nothing."""
    whole = {
        name: {} if said is None and name in ("providers", "services", "code") else said
        for name, said in given.items()
    }
    providers = whole.get("providers")
    if isinstance(providers, dict):
        whole["providers"] = {
            id: {**row, "id": id} if isinstance(row, dict) and isinstance(id, str) else row
            for id, row in providers.items()
        }
    return whole


def _services_of(given: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    services = given.get("services")
    if not isinstance(services, dict):
        return {}
    return {name: said for name, said in services.items() if isinstance(name, str) and isinstance(said, dict)}


def _contradictions(manifest: Manifest) -> Iterator[Problem]:
    """What every part of may be said, and not all of it together."""
    if not manifest.providers and not manifest.services:
        yield Problem("providers", "brings nothing: name a provider or a service")
    for id, row in manifest.providers.items():
        yield from _row_problems(f"providers.{id}", row, manifest)
    for name, code in manifest.code.items():
        pattern = PYTHON_REQUIREMENT if code.language == "python" else NPM_REQUIREMENT
        for n, wanted in enumerate(code.requirements):
            if not re.fullmatch(pattern, wanted):
                message = "must name a package of the registry and its version, such as cowsay==6.1"
                yield Problem(f"code.{name}.requirements[{n}]", message, repr(wanted))
        for host in code.hosts:
            if is_link_local(host.rpartition(":")[0] or host):
                yield Problem(f"code.{name}.hosts", LINK_LOCAL, repr(host))


def _row_problems(path: str, row: PluginRow, manifest: Manifest) -> Iterator[Problem]:
    upstreams = sorted(name for name, wire in WIRES.items() if wire.upstream)
    if row.code is not None and row.service is not None:
        yield Problem(f"{path}.service", "a provider is a program or a service; keep one of them")
    for key, named, there in (("code", row.code, manifest.code), ("service", row.service, manifest.services)):
        if named is not None and named not in there:
            known = (
                f"there is {', '.join(there)}"
                if there
                else f"add it to {'code' if key == 'code' else 'services'}"
            )
            yield Problem(f"{path}.{key}", f"no such {key}; {known}", repr(named))
    if (row.wire == GUEST) != (row.code is not None):
        yield Problem(f"{path}.wire", "is guest for a program, and only then: see `code`", repr(row.wire))
    for name in (row.wire, *row.also, *row.wires.values()):
        if name != GUEST and name not in upstreams:
            yield Problem(f"{path}.wire", f"no such language; there are {', '.join(upstreams)}", repr(name))
    for name in row.key_env:
        if not re.fullmatch(VARIABLE, name):
            yield Problem(f"{path}.key_env", "must be names of variables", repr(name))
    for where, said in _headers(row):
        if not re.fullmatch(HEADER, said):
            yield Problem(f"{path}.{where}", "must be the name of a header", repr(said))
    for host in (*row.hosts, *row.result_hosts):
        if is_link_local(host.partition(":")[0]):
            yield Problem(f"{path}.hosts", LINK_LOCAL, repr(host))
    for name in BUILT_IN_ONLY & row.model_fields_set:
        yield Problem(f"{path}.{name}", "is for built-in providers only; leave it out")
    named_models = {model.id for model in row.models}
    if row.default_model is not None and named_models and row.default_model not in named_models:
        yield Problem(f"{path}.default_model", "is not among its models", repr(row.default_model))
    yield from _address_problems(path, row)


def _headers(row: PluginRow) -> Iterator[tuple[str, str]]:
    yield "auth.header", row.auth.header
    yield from ((f"dialects.{name}.auth", it.auth.header) for name, it in row.dialects.items() if it.auth)
    yield from (("headers", name) for name in row.headers)


def _address_problems(path: str, row: PluginRow) -> Iterator[Problem]:
    where = f"{path}.base_url"
    if row.code is not None:
        if row.base_url:
            yield Problem(where, "a program has no address; leave it out")
        return
    if row.service is not None:
        if row.base_url and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", row.base_url):
            yield Problem(
                where, "of a service is a path, such as /v1: it has the port that is free", repr(row.base_url)
            )
        return
    try:
        url = urlsplit(row.base_url)
        host, _ = url.hostname or "", url.port
    except ValueError:
        url, host = urlsplit(""), ""
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment or "@" in url.netloc:
        yield Problem(
            where, "must be an address such as https://host/v1", repr(row.base_url) if row.base_url else None
        )
    elif is_link_local(host):
        yield Problem(where, LINK_LOCAL, repr(host))
    elif is_inside(host) and not row.local:
        yield Problem(
            where,
            "leads inside, to this machine or its networks; if that is meant, say `local: true`",
            repr(host),
        )
    elif url.scheme == "http" and not is_inside(host):
        yield Problem(where, "would send the key in clear; write https://", repr(row.base_url))


def _noteworthy(manifest: Manifest) -> Iterator[str]:
    used = {row.code for row in manifest.providers.values()}
    for name in manifest.code:
        if name not in used:
            yield f"code.{name}: no provider uses it"
    for name, code in manifest.code.items():
        for host in code.hosts:
            if is_inside(host.rpartition(":")[0] or host) and not host.startswith("."):
                yield f"code.{name}.hosts: {host} is inside: it may ask there whatever this gateway may"
        for wanted in code.requirements:
            pinned = "==" in wanted if code.language == "python" else re.search(r".@\d", wanted)
            if not pinned:
                yield f"code.{name}.requirements: {wanted} is not pinned: another day it is another program"


_MESSAGES = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes",
    "model_type": "must hold settings, each as `name: value`",
    "model_attributes_type": "must hold settings, each as `name: value`",
    "dataclass_type": "must hold settings, each as `name: value`",
    "dict_type": "must hold settings, each as `name: value`",
    "tuple_type": "must be a list: [one, another]",
    "frozen_set_type": "must be a list: [one, another]",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "too_long": "has too many: at most {max_length}",
    "string_too_long": "is too long: at most {max_length} characters",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "value_error": "{error}",
}
_PATTERNS = {
    ID: "must begin with a small letter, and go on with small letters, digits, _ and -",
    VARIABLE: "must be the name of a variable",
}
_PARTS: Mapping[str, type[BaseModel]] = {"providers": PluginRow, "code": CodePart, "requires": Requires}


def problem_of(detail: Mapping[str, Any]) -> Problem:
    """A problem in our words, out of one of pydantic's. Values may be secrets in the wrong place: only names
    and numbers are shown back."""
    kind, location, context = detail["type"], detail["loc"], detail.get("ctx", {})
    path = _path(location)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return Problem(path, f"no such setting here{_suggestion(location)}")
    if kind == "string_pattern_mismatch":
        message = _PATTERNS.get(context["pattern"], f"must fit {context['pattern']}")
    else:
        message = _MESSAGES.get(kind, "{msg}").format(msg=detail["msg"], **context)
    said = detail["input"]
    shown = repr(said)[:80] if isinstance(said, str | int | float) and kind != "missing" else None
    return Problem(path, message, shown)


def _suggestion(location: Sequence[int | str]) -> str:
    name, *_ = reversed(location)
    known: Sequence[str] = list(Manifest.model_fields)
    if len(location) > 1:
        part = _PARTS.get(str(location[0]))
        known = list(part.model_fields) if part is not None else ()
    near = get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]}?" if near else "; see docs/plugins.md"


def _path(location: Sequence[int | str]) -> str:
    parts = [part for part in location if part != "[key]"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    return path[:200] or "(file)"
