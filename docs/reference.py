"""What the sources of the clients say of themselves, as Markdown.

They are read and not imported: nothing must be installed, and every Python
writes the same pages.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / "client" / "tekton_llm_client"
JAVASCRIPT = ROOT / "js-client" / "src"
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

WIDTH = 88  # of signatures: longer ones have a line for each parameter

HANDED_OUT = {
    "BlockingClient",
    "BlockingStream",
    "ChunkStream",
    "EventStream",
    "GatewayProvider",
    "MediaAsset",
    "MediaJob",
    "MediaModel",
    "MediaProvider",
    "ProviderFactory",
    "ProviderSession",
    "Turn",
}
"""Classes that callers get and do not make."""

PYTHON_PARTS: Mapping[str, Mapping[str, str]] = {
    "client": {"client.py": "TektonLLMClient", "asking.py": "Extras"},
    "stream": {"stream.py": "ChunkStream"},
    "websocket": {"ws_client.py": "TektonLLMWebSocketClient"},
    "blocking": {"blocking.py": "BlockingClient BlockingStream"},
    "replies": {
        "models.py": "Account CompletionResponse StreamingChunk Attempt ToolCall Message Embeddings"
        " AvailableProviders Provider ProviderModel"
    },
    "errors": {"exceptions.py": "TektonLLMError"},
    "settings": {
        "config/settings.py": "ClientSettings LLMSettings load_settings save_settings get_default_settings",
        "config/environment.py": "get_env get_env_bool get_env_int get_env_float get_env_list get_env_dict"
        " set_env has_env",
    },
    "tokens": {
        "utils/token_counter.py": "count_tokens token_count TokenCount count_message_tokens"
        " truncate_text_to_token_limit optimize_messages_for_token_limit"
    },
    "streams": {"utils/streaming.py": "StreamProcessor StreamBuffer"},
    "retries": {"utils/retries.py": "RetryConfig retry_async"},
    "templates": {
        "prompt_templates/template.py": "PromptTemplate TemplateError",
        "prompt_templates/registry.py": "PromptTemplateRegistry",
        "prompt_templates/loader.py": "load_template",
    },
    "handlers": {
        "response_handlers/json_parser.py": "parse_json extract_json JSONParser",
        "response_handlers/structured_output.py": "StructuredOutputParser OutputFormat",
        "response_handlers/stream_handler.py": "StreamHandler collect_stream stream_to_string",
    },
    "sessions": {
        "sessions/client.py": "SessionsClient",
        "sessions/turn.py": "Turn",
        "sessions/stream.py": "EventStream",
    },
    "session_objects": {
        "sessions/models.py": "Session SessionEvent Sent Answer ApprovalRequest Verdict SessionUsage Backend"
        " Selection SessionStatus StreamEventType",
        "sessions/errors.py": "ProviderError",
    },
    "session_service": {
        "sessions/factory.py": "get_session_service get_provider_factory create_session_with_auto_selection"
        " register_provider load_provider_plugin ProviderFactory",
        "sessions/service.py": "SessionService",
        "sessions/config.py": "SessionConfig",
        "sessions/providers.py": "GatewayProvider ProviderSession BaseProvider BaseSession",
        "sessions/words.py": "ProviderCapabilities ModelInfo StreamResponse",
        "sessions/rest.py": "JelmoreService SessionManager",
    },
    "media": {
        "media/registry.py": "get_provider_registry ProviderRegistry",
        "media/provider.py": "MediaProvider MediaModel ProviderHealth",
        "media/results.py": "MediaResult MediaAsset Text",
        "media/gateway.py": "MediaJob",
        "media/words.py": "MediaCapability ProviderType ProviderModel MediaProgress",
        "media/choice.py": "SmartProviderSelector ProviderLoadBalancer ProviderHealthMonitor HealthReport",
        "media/check.py": "MigrationValidator ValidationReport Check",
    },
    "compat": {"compat.py": "Client"},
}
"""The sections of the Python reference: files, and what of them is described."""

JAVASCRIPT_PARTS: Mapping[str, Mapping[str, str]] = {
    "client": {"client.js": "ClientOptions TektonLLMClient"},
    "options": {"protocol.js": "RequestOptions Message ToolCall", "client.js": "Callbacks"},
    "replies": {
        "protocol.js": "CompletionResponse Chunk About Usage AvailableProviders",
        "errors.js": "Attempt",
    },
    "errors": {"errors.js": "TektonLLMError"},
    "chat": {"chat.js": "RhetorChat"},
    "sessions": {"sessions.js": "SessionsOptions SessionsClient"},
    "session_options": {
        "session-shape.js": "NewSession Permissions Requirements",
        "sessions.js": "CallOptions SendOptions StreamOptions",
    },
    "session_replies": {
        "session-shape.js": "Session SessionState SessionUsage Approval SessionPage Accepted SuspendedState"
        " Choice Backend"
    },
    "session_events": {"session-shape.js": "SessionEvent EventFacts EventData EventPage"},
    "media": {
        "media.js": "ProviderRegistry",
        "media-provider.js": "MediaProvider MediaModel ProviderConfig ProviderHealth",
        "media-result.js": "MediaResult MediaMetadata MediaAsset",
        "media-gateway.js": "MediaJob MediaInput MediaOptions",
        "media-shape.js": "TransformOptions CallSettings MediaProgress MediaCapability ProviderModel",
        "media-choice.js": "SmartProviderSelector TextCriteria ProviderLoadBalancer ProviderHealthMonitor"
        " HealthReport",
        "media-check.js": "MigrationValidator ValidationReport",
    },
    "compat": {"athena.js": "AthenaOptions AthenaClient"},
}
"""The sections of the JavaScript reference, likewise."""


def regions() -> Mapping[str, Callable[[], str]]:
    """Every section, by the name that its place in the page has."""
    python = {f"python_{part}": partial(_section, _python, files) for part, files in PYTHON_PARTS.items()}
    javascript = {
        f"javascript_{part}": partial(_section, _javascript, files)
        for part, files in JAVASCRIPT_PARTS.items()
    }
    return python | javascript


def _section(describe: Callable[[str, str], Iterator[str]], files: Mapping[str, str]) -> str:
    lines = (line for file, names in files.items() for name in names.split() for line in describe(file, name))
    return _page(list(lines))


def _page(lines: Sequence[str]) -> str:
    """With one empty line wherever there are some."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


# Python.


def _python(file: str, name: str) -> Iterator[str]:
    tree = ast.parse((PYTHON / file).read_text("utf-8"))
    (node,) = (node for node in tree.body if getattr(node, "name", None) == name)
    match node:
        case ast.ClassDef():
            yield from _class(node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _function(node)


def _class(node: ast.ClassDef) -> Iterator[str]:
    yield from (f"### `{node.name}`", "")
    constructor = next((item for item in _functions(node) if item.name == "__init__"), None)
    if constructor is not None and node.name not in HANDED_OUT:
        yield from (*_signature(node.name, constructor, without_result=True), "")
    yield from _docstring(node)
    yield from _attributes(node)
    for method in _functions(node):
        if not method.name.startswith("_") and not _is(method, "property"):
            yield from (f"#### `{method.name}`", "")
            called_on = f"{node.name}." if _is(method, "classmethod") or _is(method, "staticmethod") else ""
            yield from (*_signature(called_on + method.name, method), "")
            yield from _docstring(method)


def _function(node: Function) -> Iterator[str]:
    yield from (f"### `{node.name}`", "", *_signature(node.name, node), "")
    yield from _docstring(node)


def _functions(node: ast.ClassDef) -> Iterator[Function]:
    """What is really there, without what only type checkers see."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not _is(item, "overload"):
            yield item


def _is(function: Function, decorator: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == decorator for each in function.decorator_list)


def _signature(name: str, function: Function, *, without_result: bool = False) -> Iterator[str]:
    parameters = [text for text in _parameters(function.args) if text not in ("self", "cls")]
    result = "" if without_result or function.returns is None else f" -> {ast.unparse(function.returns)}"
    before = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    line = f"{before}{name}({', '.join(parameters)}){result}"
    yield "```py"
    if len(line) <= WIDTH:
        yield line
    else:
        yield f"{before}{name}("
        yield from (f"    {text}," for text in parameters)
        yield f"){result}"
    yield "```"


def _parameters(given: ast.arguments) -> Iterator[str]:
    """Each as it is written in a signature, with the marks between them."""
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True), start=1):
        yield _parameter_text(argument, default)
        if index == len(given.posonlyargs):
            yield "/"
    if given.vararg is not None:
        yield f"*{ast.unparse(given.vararg)}"
    elif given.kwonlyargs:
        yield "*"
    yield from map(_parameter_text, given.kwonlyargs, given.kw_defaults)
    if given.kwarg is not None:
        yield f"**{ast.unparse(given.kwarg)}"


def _parameter_text(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")


def _attributes(node: ast.ClassDef) -> Iterator[str]:
    """Fields and properties, with the strings that stand below them."""
    rows = []
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            if item.target.id.startswith(("_", "model_config")):
                continue
            said = after.value.value if _is_text(after) else ""  # type: ignore[union-attr]  # it is one
            default = f" = {ast.unparse(item.value)}" if isinstance(item.value, ast.Constant) else ""
            rows.append((item.target.id, f"{ast.unparse(item.annotation)}{default}", said))
        elif isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant):
            rows.append((ast.unparse(item.targets[0]), ast.unparse(item.value), ""))  # of an enumeration
        elif isinstance(item, ast.FunctionDef) and _is(item, "property"):
            result = ast.unparse(item.returns) if item.returns else ""
            rows.append((item.name, result, ast.get_docstring(item) or ""))
    if rows:
        yield from ("| Attribute | Type | |", "|---|---|---|")
        yield from (f"| `{name}` | {_code(type)} | {_cell(said)} |" for name, type, said in rows)
        yield ""
    if "Account" in map(ast.unparse, node.bases):
        yield from ("And all of [`Account`](#account).", "")


def _is_text(node: ast.stmt | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


SECTION = re.compile(r"^(Args|Raises):\n((?: +.*\n?|\n(?= ))+)", re.MULTILINE)
ENTRY = re.compile(r"^([*\w.]+(?:, [*\w.]+)*): ")


def _docstring(node: ast.ClassDef | Function) -> Iterator[str]:
    text = ast.get_docstring(node)
    if text:
        yield from (SECTION.sub(lambda match: _entries(match[1], match[2]), text).rstrip(), "")


def _entries(section: str, text: str) -> str:
    lines: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        if line.startswith(" "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    mark = "raises " if section == "Raises" else ""
    named = [ENTRY.sub(lambda match: f"{mark}`{match[1].replace(', ', '`, `')}`: ", line) for line in lines]
    return "".join(f"- {line}\n" for line in named)


# JavaScript.


@dataclass(frozen=True)
class Comment:
    """A comment that documents, and the line that follows it."""

    text: str
    tags: Sequence[tuple[str, str]]
    """Name and text, in order."""
    line: str

    def all(self, tag: str) -> list[str]:
        return [text for name, text in self.tags if name == tag]


COMMENT = re.compile(r"/\*\*(.*?)\*/[ \t]*\n?([^\n]*)", re.DOTALL)
METHOD = re.compile(r"^  (?:async |static )*\*?(?P<name>(?!get |set )[a-zA-Z]\w*)\(")
PARAMETER = re.compile(r"^(?:\[(?P<optional>[\w.]+)[^\]]*\]|(?P<name>[\w.]+))\s*")


def _javascript(file: str, name: str) -> Iterator[str]:
    source = (JAVASCRIPT / file).read_text("utf-8")
    begin = re.search(rf"^export class {name}\b.*$", source, re.MULTILINE)
    yield from _js_class(name, source, begin.start()) if begin else _js_type(name, source)


def _js_class(name: str, source: str, begin: int) -> Iterator[str]:
    end = source.index("\n}\n", begin)
    yield from (f"### `{name}`", "")
    above = [each for each in _comments(source[:end]) if re.match(rf"export class {name}\b", each.line)]
    yield from (line for each in above if each.text for line in (each.text, ""))
    for comment in _comments(source[begin:end]):
        method = METHOD.match(comment.line)
        if method is None or method["name"].endswith("Callback"):  # the browser's, not a caller's
            continue
        heading = f"new {name}" if method["name"] == "constructor" else method["name"]
        parameters = [_parameter(text) for text in comment.all("param")]
        said = ", ".join(
            f"{each}?" if optional else each for each, optional, _, _ in parameters if "." not in each
        )
        yield from (f"#### `{heading}({said})`", "")
        yield from ((comment.text, "") if comment.text else ())
        yield from (
            f"- `{each}`: {_code(type)}{f', {about}' if about else ''}" for each, _, type, about in parameters
        )
        for result in comment.all("returns"):
            type, about = _typed(result)
            yield f"- returns {_code(type)}{f': {about}' if about else ''}"
        yield from (
            f"- throws `{_typed(text)[0]}` {_typed(text)[1]}".rstrip() for text in comment.all("throws")
        )
        yield ""


def _js_type(name: str, source: str) -> Iterator[str]:
    for comment in _comments(source):
        for text in comment.all("typedef"):
            type, rest = _typed(text)
            found, _, about = rest.partition(" ")
            if found != name:
                continue
            yield from (f"### `{name}`", "")
            if type != "object":
                yield from (f"{_code(type)}{f': {about}' if about else ''}", "")
            yield from ((comment.text, "") if comment.text else ())
            if properties := [_parameter(text) for text in comment.all("property")]:
                yield from ("| | Type | |", "|---|---|---|")
                yield from (
                    f"| `{each}{'?' if optional else ''}` | {_code(kind)} | {_cell(said)} |"
                    for each, optional, kind, said in properties
                )
                yield ""


def _comments(source: str) -> Iterator[Comment]:
    for match in COMMENT.finditer(source):
        lines = [re.sub(r"^\s*\* ?", "", line) for line in match[1].strip().splitlines()]
        text, *tags = re.split(
            r"^@|(?<=\s)@(?=throws|returns|param|typedef)", "\n".join(lines), flags=re.MULTILINE
        )
        told = [tag.partition(" ")[::2] for tag in tags]
        yield Comment(text.strip(), [(tag.strip(), " ".join(about.split())) for tag, about in told], match[2])


def _parameter(text: str) -> tuple[str, bool, str, str]:
    """Name, whether it may be left out, type, and what is said of it."""
    type, rest = _typed(text)
    match = PARAMETER.match(rest)
    assert match is not None, f"not a parameter: {text}"
    return match["optional"] or match["name"], match["optional"] is not None, type, rest[match.end() :]


def _typed(text: str) -> tuple[str, str]:
    """`{type} rest` → type and rest; the type may have braces in it."""
    if not text.startswith("{"):
        return "", text
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:place], text[place + 1 :].strip()
    raise ValueError(f"a brace is not closed: {text}")


def _code(type: str) -> str:
    return f"`{_cell(type)}`" if type else ""


def _cell(text: str) -> str:
    """In a cell of a table, where a bar would end it."""
    return " ".join(text.replace("|", "\\|").split())
