"""A vendor's client of a Python program becomes a TektonLLMClient, where what surrounds it leaves no doubt.

That is so for a client that one class keeps to itself, or that an `async with`
opens, if it is only asked for whole replies in async functions, in words that
both clients have, and if nothing but the text of its replies is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from rhetor.migrate.book import dotted, literal
from rhetor.migrate.finding import Change, Edit, collide
from rhetor.migrate.imports import Undecided, ensure_comments_stay, ensure_editable, quote
from rhetor.migrate.names import Names
from rhetor.migrate.packages import TEKTON, words
from rhetor.migrate.point import LONGEST_LINE
from rhetor.migrate.values import Client, Sdk

CLASS = "TektonLLMClient"
_ASKED = {"anthropic": ("messages", "create"), "openai": ("chat", "completions", "create")}
_MADE_BY = {"anthropic": {"Anthropic", "AsyncAnthropic"}, "openai": {"OpenAI", "AsyncOpenAI"}}
_TEXT_OF = {"anthropic": ".content[0].text", "openai": ".choices[0].message.content"}
_OPTIONS = {
    **{name: name for name in ("model", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences")},
    "max_completion_tokens": "max_tokens",
}
_TEXT_METHODS = words("strip lstrip rstrip format join lower upper replace title")


@dataclass(frozen=True, slots=True)
class _Made:
    """A client, where it is made, and everything that is done with it."""

    call: cst.Call
    client: Client
    uses: tuple[cst.BaseExpression, ...]


def replacements(names: Names, component: str) -> Iterator[Change]:
    """The changes that make TektonLLMClients, one for each client that may become one."""
    if CLASS in names.source.text:  # somebody has begun already
        return
    look = _Look(names)
    names.module.visit(look)
    for call, holder in look.made:
        try:
            made = _made(names, look, call, holder)
            ensure_editable(names, call)
            edits = [*_constructor(names, made, component), *_import(names, look, made)]
            for use in made.uses:
                edits += _asked(names, made, use)
            ensure_comments_stay(names, edits)
        except Undecided:
            continue
        if any(collide(one, other) for n, one in enumerate(edits) for other in edits[:n]):
            continue  # a question within a question
        alone = holder.attr.value if isinstance(holder, cst.Attribute) else ""
        what = f"{made.client.made_by} becomes {CLASS}"
        keys = tuple((names.start(a.value), names.end(a.value)) for a in call.args)
        yield Change(
            made.client.origin, made.client.package.name, what, tuple(edits), alone, leaves=True, hides=keys
        )


class _Look(cst.CSTVisitor):
    """Finds clients that are made for a name, and every mention of names and attributes."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.made: list[tuple[cst.Call, cst.Name | cst.Attribute]] = []
        self.attributes: list[cst.Attribute] = []
        self.mentions: list[cst.Name] = []
        self.imports: list[cst.Import | cst.ImportFrom] = []
        self._names = names

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if len(node.targets) == 1 and isinstance(node.value, cst.Call) and isinstance(target, cst.Attribute):
            self.made.append((node.value, target))

    def visit_With(self, node: cst.With) -> None:
        for item in node.items:
            name = item.asname.name if item.asname is not None else None
            if node.asynchronous and isinstance(item.item, cst.Call) and isinstance(name, cst.Name):
                self.made.append((item.item, name))

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        self.attributes.append(node)
        node.value.visit(self)  # the attribute's own name mentions nothing
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Name(self, node: cst.Name) -> None:
        self.mentions.append(node)

    def visit_Import(self, node: cst.Import) -> bool:
        self.imports.append(node)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        self.imports.append(node)
        return False


def _made(names: Names, look: _Look, call: cst.Call, holder: cst.Name | cst.Attribute) -> _Made:
    """
    Raises:
        Undecided: it is no client that could become another one, or more is done with it than asking.
    """
    client = names.value(call)
    if not isinstance(client, Client) or client.path or client.at_gateway:
        raise Undecided("it is no client")
    if client.made_by not in _MADE_BY.get(client.package.name, ()):
        raise Undecided("it is a client of another kind")
    if isinstance(holder, cst.Attribute):
        return _Made(call, client, tuple(_of_class(names, look, holder)))
    return _Made(call, client, tuple(_of_name(names, look, holder)))


def _of_class(names: Names, look: _Look, holder: cst.Attribute) -> list[cst.BaseExpression]:
    """Every mention of an attribute, which must be one class's own."""
    owner = _owner(names, holder)
    same = [node for node in look.attributes if node.attr.value == holder.attr.value and node is not holder]
    if owner is None or any(_owner(names, node) != owner for node in same):
        raise Undecided("others reach for it")
    if len(names.bound.get(f"{owner}.{holder.attr.value}", ())) != 1:
        raise Undecided("it is set more than once")
    return list(same)


def _owner(names: Names, node: cst.Attribute) -> str | None:
    return names.owners.get(names.local(node.value) or "") if isinstance(node.value, cst.Name) else None


def _of_name(names: Names, look: _Look, holder: cst.Name) -> list[cst.BaseExpression]:
    key = names.local(holder)
    if key is None or len(names.bound.get(key, ())) != 1:
        raise Undecided("it is set more than once")
    return [node for node in look.mentions if node is not holder and names.local(node) == key]


def _constructor(names: Names, made: _Made, component: str) -> list[Edit]:
    for argument in made.call.args:
        if argument.star or argument.keyword is None or argument.keyword.value != "api_key":
            raise Undecided("its constructor says more than a key")
        if not _is_mere_reading(names, argument.value):
            raise Undecided("making its key does something")
    q = quote(names)
    said = component.replace("\\", "\\\\").replace(q, f"\\{q}")
    text = f"{CLASS}(component_id={q}{said}{q}, provider_id={q}{made.client.package.vendor}{q})"
    return [Edit(names.start(made.call), names.end(made.call), text)]


def _is_mere_reading(names: Names, node: cst.BaseExpression) -> bool:
    match node:
        case cst.Name() | cst.SimpleString():
            return True
        case cst.Attribute():
            return bool(dotted(node))
        case cst.Subscript() | cst.Call():
            base = node.value if isinstance(node, cst.Subscript) else node.func
            return (names.imported(base) or "").startswith(("os.environ", "os.getenv"))
    return False


def _import(names: Names, look: _Look, made: _Made) -> list[Edit]:
    """The import of the package becomes one of ours: nothing else may need it."""
    package = made.client.package
    ours = [node for node in look.imports if _imports(node, package.modules)]
    roots = [
        node
        for node in look.mentions
        if isinstance(names.value(node), Sdk) and names.value(node).package is package  # type: ignore[union-attr]
    ]
    inside = range(names.start(made.call.func), names.end(made.call.func))
    if len(ours) != 1 or any(names.start(node) not in inside for node in roots):
        raise Undecided("its package is used for something else")
    node = ours[0]
    line = names.parents[node]
    alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
    if not alone or names.parents[line] is not names.module or len(node.names) != 1:  # type: ignore[arg-type]
        raise Undecided("its import brings more")
    return [Edit(names.start(node), names.end(node), f"from {TEKTON} import {CLASS}")]


def _imports(node: cst.Import | cst.ImportFrom, modules: tuple[str, ...]) -> bool:
    if isinstance(node, cst.ImportFrom):
        return dotted(node.module).partition(".")[0] in modules
    return any(dotted(alias.name).partition(".")[0] in modules for alias in node.names)


# What is asked.


def _asked(names: Names, made: _Made, use: cst.BaseExpression) -> list[Edit]:
    """One question, and what is done with the answer."""
    ensure_editable(names, use)
    package = made.client.package.name
    node: cst.CSTNode = use
    for word in _ASKED[package]:
        node = names.parents[node]
        if not isinstance(node, cst.Attribute) or node.attr.value != word:
            raise Undecided("it is used for more than asking")
    call = names.parents[node]
    if not isinstance(call, cst.Call) or call.func is not node:
        raise Undecided("it is used for more than asking")
    whole: cst.BaseExpression = call
    parent = names.parents[call]
    if isinstance(parent, cst.Await):
        whole = parent
    elif made.client.made_by.startswith("Async"):
        raise Undecided("what it returns is handed on")
    elif any(isinstance(each, cst.GeneratorExp) for each in names.above(call)):
        raise Undecided("its generator would become an async one")
    if not _is_in_async_function(names, whole):
        raise Undecided("it is asked where nothing can be awaited")
    method, arguments = _question(names, call, package)
    asking = f"await {names.code(use)}.{method}"
    read = _reads_text(names, whole, _TEXT_OF[package])
    if read is not None:
        start = _before(names, whole)
        return [Edit(start, names.end(read), f"({_laid_out(names, start, asking, arguments)}).content")]
    start = names.start(whole)
    text = _laid_out(names, start, asking, arguments)
    return [Edit(start, names.end(whole), text), *_answers(names, whole, _TEXT_OF[package])]


def _before(names: Names, node: cst.BaseExpression) -> int:
    """Where the parentheses around an expression begin."""
    text, at = names.source.text, names.start(node)
    for _ in node.lpar if text[at] != "(" else ():
        at = text.rindex("(", 0, at)
    return at


def _is_in_async_function(names: Names, node: cst.CSTNode) -> bool:
    while node is not names.module:
        node = names.parents[node]
        if isinstance(node, cst.FunctionDef):
            return node.asynchronous is not None
        if isinstance(node, cst.Lambda | cst.CompFor | cst.ClassDef | cst.Decorator | cst.Parameters):
            return False
    return False


def _reads_text(names: Names, node: cst.CSTNode, wanted: str) -> cst.BaseExpression | None:
    """The expression that reads the text of a reply, if that is all that is done with it."""
    said = ""
    while said != wanted:
        parent = names.parents[node]
        if isinstance(parent, cst.Attribute) and parent.value is node:
            said += f".{parent.attr.value}"
        elif isinstance(parent, cst.Subscript) and parent.value is node and _is_first(parent):
            said += "[0]"
        else:
            return None
        if not wanted.startswith(said):
            raise Undecided("more than its text is read")
        node = parent
    return node if isinstance(node, cst.BaseExpression) else None


def _is_first(node: cst.Subscript) -> bool:
    index = node.slice[0].slice
    return len(node.slice) == 1 and isinstance(index, cst.Index) and _number(index.value) == "0"


def _number(node: cst.BaseExpression) -> str:
    return node.value if isinstance(node, cst.Integer) else dotted(node)


def _answers(names: Names, whole: cst.BaseExpression, wanted: str) -> list[Edit]:
    """What is read of a reply that has got a name."""
    parent = names.parents[whole]
    if isinstance(parent, cst.Expr):
        return []
    target = parent.targets[0].target if isinstance(parent, cst.Assign) and len(parent.targets) == 1 else None
    if not isinstance(target, cst.Name):
        raise Undecided("its reply is handed on")
    key = names.local(target)
    if key is None or "<locals>" not in key or len(names.bound.get(key, ())) != 1:
        raise Undecided("the name of its reply has other meanings")
    look = _Look(names)
    names.module.visit(look)
    edits = []
    for node in look.mentions:
        if node is target or names.local(node) != key:
            continue
        read = _reads_text(names, node, wanted)
        if read is None:
            raise Undecided("its reply is handed on")
        edits.append(Edit(names.end(node), names.end(read), ".content"))
    return edits


def _laid_out(names: Names, start: int, call: str, arguments: list[str]) -> str:
    """A call on one line if it fits there, else with a line for each argument."""
    source = names.source
    line = source.text[source.line_start(start) : start]
    text = f"{call}({', '.join(arguments)})"
    if len(line) + len(text) <= LONGEST_LINE:
        return text
    indent = line[: len(line) - len(line.lstrip())]
    step = "\t" if indent.startswith("\t") else "    "
    joint = f"{source.newline}{indent}{step}"
    return f"{call}({joint}{f',{joint}'.join(arguments)},{source.newline}{indent})"


def _question(names: Names, call: cst.Call, package: str) -> tuple[str, list[str]]:
    """The method of the new client, and its arguments."""
    given: dict[str, cst.BaseExpression] = {}
    for argument in call.args:
        if argument.star or argument.keyword is None:
            raise Undecided("its arguments come from elsewhere")
        given[argument.keyword.value] = argument.value
    messages, system = given.pop("messages", None), given.pop("system", None)
    stream = given.pop("stream", None)
    if "temperature" not in given:
        raise Undecided("the vendor and TektonLLMClient take another temperature when nobody says")
    if messages is None or (stream is not None and dotted(stream) != "False"):
        raise Undecided("it is no plain question")
    if unknown := sorted(given.keys() - _OPTIONS.keys()):
        raise Undecided(f"`{unknown[0]}=` has no counterpart")
    if system is not None and not _is_text(names, system, or_none=True):
        raise Undecided("its system prompt may be more than text")
    said = _messages(names, messages)
    if package == "anthropic" and (len(said) != 1 or said[0][0] != "user"):
        raise Undecided("it is a conversation")
    q = quote(names)
    options = {name: names.code(value) for name, value in given.items()}
    written = ", ".join(f"{q}{_OPTIONS[name]}{q}: {value}" for name, value in options.items())
    asked = [f"options={{{written}}}"]
    if system is not None:
        asked.insert(0, f"system_prompt={names.code(system)}")
    if len(said) == 1:
        return "generate_text", [names.code(said[0][1]), *asked]
    return "generate_chat_response", [names.code(messages), *asked]


def _messages(names: Names, node: cst.BaseExpression) -> list[tuple[str, cst.BaseExpression]]:
    """Roles and contents of messages that are written out, and are text beyond doubt."""
    if not isinstance(node, cst.List) or not node.elements:
        raise Undecided("its messages come from elsewhere")
    found = []
    for element in node.elements:
        message = element.value
        if not isinstance(element, cst.Element) or not isinstance(message, cst.Dict):
            raise Undecided("its messages come from elsewhere")
        fields = {
            literal(entry.key): entry.value
            for entry in message.elements
            if isinstance(entry, cst.DictElement) and isinstance(entry.key, cst.SimpleString)
        }
        role = fields.get("role")
        if len(fields) != 2 or len(message.elements) != 2 or "content" not in fields:
            raise Undecided("a message says more than a role and a text")
        if not isinstance(role, cst.SimpleString) or literal(role) not in ("system", "user", "assistant"):
            raise Undecided("a message says more than a role and a text")
        if not _is_text(names, fields["content"]):
            raise Undecided("a message may be more than text: an annotation `: str` would tell")
        found.append((literal(role) or "", fields["content"]))
    return found


def _is_text(names: Names, node: cst.BaseExpression, or_none: bool = False) -> bool:
    """Whether an expression is a text for certain."""
    match node:
        case cst.SimpleString():
            return literal(node) is not None
        case cst.FormattedString() | cst.ConcatenatedString():
            return True
        case cst.BinaryOperation(operator=cst.Add()):
            return _is_text(names, node.left) or _is_text(names, node.right)
        case cst.Call():
            if isinstance(node.func, cst.Attribute) and node.func.attr.value in _TEXT_METHODS:
                return _is_text(names, node.func.value)
            return (
                isinstance(node.func, cst.Name)
                and node.func.value == "str"
                and names.local(node.func) is None
            )
        case cst.Name():
            bound = names.bound.get(names.local(node) or "", ())
            said = [_annotates_text(names, b.expression, or_none) for b in bound if b.is_annotation]
            if said:
                return all(said)
            return bool(bound) and all(_is_text(names, b.expression) for b in bound)
    return False


def _annotates_text(names: Names, node: cst.BaseExpression, or_none: bool) -> bool:
    code = names.code(node).replace(" ", "")
    return code == "str" or (or_none and code in ("str|None", "None|str", "Optional[str]"))
