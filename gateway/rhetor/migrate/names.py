"""What do names of a Python file stand for? Followed through assignments, attributes, returns and imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import libcst as cst
from libcst.metadata import (
    CodeRange,
    MetadataWrapper,
    PositionProvider,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from rhetor.migrate.book import Book, Bound, literal
from rhetor.migrate.packages import PYTHON, TEKTON, Package
from rhetor.migrate.source import Source
from rhetor.migrate.values import Class, Client, Elsewhere, Function, Instance, Sdk, Text, Value, Web, World
from rhetor.migrate.vendors import vendor_of_address

WEB_CLIENTS = frozenset(
    {"httpx.Client", "httpx.AsyncClient", "aiohttp.ClientSession", "requests.Session"}
)  # fmt: skip
UNKNOWN = "…"
"""Stands in a text for what only a run would tell."""
DEEPEST = 40  # assignments that are followed; longer chains are made by programs, against us
LONGEST = 400  # characters of a text that anybody asks for


class Names:
    """A parsed file, and the meaning of its names."""

    def __init__(self, source: Source, world: World | None = None) -> None:
        """
        Raises:
            libcst.ParserSyntaxError: it is no Python.
        """
        self.source = source
        wrapper = MetadataWrapper(cst.parse_module(source.text), unsafe_skip_copy=True)
        self.module = wrapper.module
        found = wrapper.resolve_many([PositionProvider, ScopeProvider])
        self._positions = cast("Mapping[cst.CSTNode, CodeRange]", found[PositionProvider])
        self._scopes = cast("Mapping[cst.CSTNode, Scope | None]", found[ScopeProvider])
        self._world = world or {}
        self._memo: dict[int, Value | None] = {}
        self._depth = 0
        book = Book(self.local)
        self.parents = book.parents
        self.module.visit(book)
        self.comments = book.comments
        self.bound = book.bound
        self.owners = book.owners
        """The class of each method's own parameter (`self`)."""
        self.classes = book.classes
        """By their full names."""
        self.passed_on = book.passed_on
        """Names that are imported here, which others may import from here, and their full names."""
        self.attributes = frozenset(book.attributes)
        self.imports = frozenset(book.imports)
        """Modules that are imported anywhere in the file, dots in front as they are written."""

    # Places.

    def line(self, node: cst.CSTNode) -> int:
        return self._positions[node].start.line

    def start(self, node: cst.CSTNode) -> int:
        place = self._positions[node].start
        return self.source.offset(place.line, place.column)

    def end(self, node: cst.CSTNode) -> int:
        place = self._positions[node].end
        return self.source.offset(place.line, place.column)

    def code(self, node: cst.CSTNode) -> str:
        return self.source.text[self.start(node) : self.end(node)]

    def scope(self, node: cst.CSTNode) -> Scope | None:
        while node not in self._scopes and node in self.parents:
            node = self.parents[node]
        return self._scopes.get(node)

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What is around a node, the nearest first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    # Names.

    def imported(self, node: cst.BaseExpression) -> str | None:
        """The full name of what was imported: `google.generativeai.GenerativeModel`, `.llm.client`."""
        return self._qualified(node, QualifiedNameSource.IMPORT)

    def local(self, node: cst.BaseExpression) -> str | None:
        """The name of what this file defines: `make.<locals>.client`, `Adapter`."""
        return self._qualified(node, QualifiedNameSource.LOCAL)

    def _qualified(self, node: cst.BaseExpression, source: QualifiedNameSource) -> str | None:
        if not _is_dotted(node) or (scope := self.scope(node)) is None:
            return None
        names = scope.get_qualified_names_for(node)
        return min((name.name for name in names if name.source is source), default=None)

    # Values.

    def value(self, node: cst.BaseExpression) -> Value | None:
        """What an expression stands for, if it has to do with models."""
        key = id(node)
        if key not in self._memo:
            if self._depth >= DEEPEST:
                return None
            self._memo[key] = None  # whoever comes around to it again learns nothing
            with self._deeper():
                self._memo[key] = self._settled(self._value(node))
        return self._memo[key]

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _settled(self, value: Value | None) -> Value | None:
        """What stands behind a name of another file."""
        for _ in range(5):  # a package passes on what its modules define, seldom more than twice
            if not isinstance(value, Elsewhere):
                return value
            value = self._world.get(value.module, {}).get(value.name)
        return None

    def _value(self, node: cst.BaseExpression) -> Value | None:
        match node:
            case cst.Name() | cst.Attribute():
                return self._named(node)
            case cst.Call():
                return self._made(node)
            case cst.Await() | cst.NamedExpr():
                return self.value(node.expression if isinstance(node, cst.Await) else node.value)
            case cst.BooleanOperation() | cst.BinaryOperation():
                chained = isinstance(node, cst.BooleanOperation) or isinstance(node.operator, cst.BitOr)
                value = (self.value(node.left) or self.value(node.right)) if chained else None
                return value or self._address(node)
            case cst.Subscript():
                return self._entry(node)
            case cst.IfExp():
                return self.value(node.body) or self.value(node.orelse)
            case cst.SimpleString() | cst.FormattedString() | cst.ConcatenatedString():
                return self._address(node)
        return None

    def _entry(self, node: cst.Subscript) -> Value | None:
        """`clients["openai"]`: the entry of a literal with that key, else the first one that is a client."""
        key = self.local(node.value) if isinstance(node.value, cst.Name) else self._self_key(node.value)
        index = node.slice[0].slice
        wanted = _key(index.value) if isinstance(index, cst.Index) else None
        found: dict[str | None, Value] = {}
        for bound in self.bound.get(key or "", ()):
            literals = isinstance(bound.expression, cst.Dict | cst.List | cst.Tuple)
            for element in bound.expression.elements if literals else ():  # type: ignore[attr-defined]  # as just asked
                value = self.value(element.value)
                if isinstance(value, Client):
                    found.setdefault(
                        _key(element.key) if isinstance(element, cst.DictElement) else None, value
                    )
        return found.get(wanted) or next(iter(found.values()), None)

    def _address(self, node: cst.BaseExpression) -> Text | None:
        text = self.text(node)
        return Text(text) if vendor_of_address(text) else None

    def _named(self, node: cst.Name | cst.Attribute) -> Value | None:
        if (full := self.imported(node)) is not None:
            return self._from_import(full)
        if isinstance(node, cst.Attribute):
            return self.attribute(self.value(node.value), node.attr.value)
        local = self.local(node)
        if local is None:
            return None
        if local in self.owners:
            return Instance(Class(self.source.file, self.owners[local]))
        return self._bound(local)

    def _bound(self, key: str) -> Value | None:
        if key in self.classes:
            return Class(self.source.file, key)
        if f"{key}()" in self.bound:
            return Function(self.source.file, key)
        for bound in _best_first(self.bound.get(key, ())):
            value = self.annotated(bound.expression) if bound.is_annotation else self.value(bound.expression)
            if value is not None:
                return value
        return None

    def _from_import(self, full: str) -> Value | None:
        for package in PYTHON:
            if package.owns(full):
                module = max((m for m in package.modules if full == m or full.startswith(f"{m}.")), key=len)
                return Sdk(package, tuple(full[len(module) + 1 :].split(".")) if full != module else ())
        # `from app import llm`, then `llm.client`; or `from app.llm import client`, then `client.messages`.
        bare = full.lstrip(".")
        dots, parts = full[: len(full) - len(bare)], bare.split(".")
        for n in range(len(parts) - 1, -1, -1):
            module = dots + ".".join(parts[:n])
            if parts[n] in self._world.get(module, {}):
                value = self._settled(Elsewhere(module, parts[n]))
                for attribute in parts[n + 1 :]:
                    value = self.attribute(value, attribute)
                return value
        return None

    def attribute(self, owner: Value | None, name: str) -> Value | None:
        """What hangs from a value under this name."""
        match owner:
            case Client():
                return owner.attribute(name)
            case Sdk():
                return Sdk(owner.package, (*owner.path, name))
            case Instance() | Class():
                kind = owner.of if isinstance(owner, Instance) else owner
                return self._member(kind, name, set())
            case None:
                return self._bound(f"*.{name}")
        return None

    def attribute_of_class(self, name: str, attribute: str) -> Value | None:
        """What the objects of one of this file's classes hold under this name."""
        return self._bound(f"{name}.{attribute}")

    def bases(self, name: str) -> tuple[cst.BaseExpression, ...]:
        """What one of this file's classes inherits from."""
        node = self.classes.get(name)
        return tuple(base.value for base in node.bases) if node else ()

    def _member(self, kind: Class, name: str, seen: set[Class]) -> Value | None:
        if kind in seen:
            return None
        seen.add(kind)
        if kind.file != self.source.file:
            found = self._world.get(kind.file, {})
            return found.get(f"{kind.name}.{name}")
        value = self._bound(f"{kind.name}.{name}")
        for base in () if value else self.bases(kind.name):
            parent = self.value(base)
            value = value or (self._member(parent, name, seen) if isinstance(parent, Class) else None)
        return value

    def _made(self, node: cst.Call) -> Value | None:
        """What a call returns."""
        called = self.value(node.func)
        match called:
            case Sdk() if called.path and called.path[-1] in called.package.clients:
                return self._client(called.package, called.path[-1], node)
            case Sdk() if called.path and called.path[-1].startswith("from_"):  # ChatX.from_…, Client.from_…
                return self._client(called.package, called.path[0], node)
            case Client() if ".".join(called.path) in called.package.keeps:
                return Client(called.package, called.made_by, called.origin, called.at_gateway)
            case Class():
                return Instance(called)
            case Function():
                return self._returned(called)
        full = self.imported(node.func)
        if full in WEB_CLIENTS:
            return self._web(node)
        if full is not None and full.rpartition(".")[2] in ("Depends", "Security") and node.args:
            maker = self.value(node.args[0].value)
            return self._returned(maker) if isinstance(maker, Function) else None
        return self._address(node)

    def _returned(self, function: Function) -> Value | None:
        if function.file == self.source.file:
            for bound in _best_first(self.bound.get(f"{function.name}()", ())):
                value = (
                    self.annotated(bound.expression) if bound.is_annotation else self.value(bound.expression)
                )
                if value is not None:
                    return value
            return None
        return self._world.get(function.file, {}).get(f"{function.name}()")

    def _web(self, node: cst.Call) -> Web | None:
        for argument in node.args:
            value = self.value(argument.value)
            if isinstance(value, Text) and (argument.keyword is None or argument.keyword.value == "base_url"):
                return Web(value.text)
        return None

    def _client(self, package: Package, made_by: str, node: cst.Call) -> Client:
        origin = f"{self.source.file}@{self.start(node)}"
        return Client(package, made_by, origin, any(self.names_gateway(a.value) for a in node.args))

    def annotated(self, node: cst.BaseExpression) -> Value | None:
        """What an annotation says: an object of this class, also as one of several (`X | None`)."""
        match node:
            case cst.Subscript():
                slices = [e.slice.value for e in node.slice if isinstance(e.slice, cst.Index)]
                return next((v for v in map(self.annotated, slices) if v is not None), None)
            case cst.BinaryOperation():
                return self.annotated(node.left) or self.annotated(node.right)
            case cst.SimpleString():
                return self._instance(self._forward(node))
        return self._instance(self.value(node))

    def _forward(self, node: cst.SimpleString) -> Value | None:
        """What an annotation in quotes names."""
        text, scope = literal(node) or "", self.scope(node)
        if scope is None or not all(part.isidentifier() for part in text.split(".")):
            return None
        names = scope.get_qualified_names_for(text)
        full = min((name.name for name in names if name.source is QualifiedNameSource.IMPORT), default=None)
        return self._from_import(full) if full is not None else self._bound(text)

    def _instance(self, value: Value | None) -> Value | None:
        """An object of a class."""
        match value:
            case Sdk() if value.path and value.path[-1] in value.package.clients:
                return Client(value.package, "", "", at_gateway=False)
            case Class():
                return Instance(value)
        return None

    # Texts.

    def names_gateway(self, node: cst.BaseExpression) -> bool:
        """Whether an argument has to do with the gateway's address, or comes from what has."""
        if "rhetor" in self.code(node).lower():
            return True
        key = self.local(node) if isinstance(node, cst.Name) else self._self_key(node)
        return any("rhetor" in self.code(b.expression).lower() for b in self.bound.get(key or "", ()))

    def _self_key(self, node: cst.BaseExpression) -> str | None:
        if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name):
            owner = self.owners.get(self.local(node.value) or "")
            return f"{owner}.{node.attr.value}" if owner else None
        return None

    def text(self, node: cst.BaseExpression) -> str:
        """A text as far as it is known; what is not stands as `…`."""
        if self._depth >= DEEPEST:
            return UNKNOWN
        with self._deeper():
            return self._text(node)[:LONGEST]

    def _text(self, node: cst.BaseExpression) -> str:
        match node:
            case cst.SimpleString():
                said = literal(node)
                return said if said is not None else UNKNOWN
            case cst.ConcatenatedString():
                return self.text(node.left) + self.text(node.right)
            case cst.FormattedString():
                return "".join(
                    part.value if isinstance(part, cst.FormattedStringText)
                    else self.text(part.expression) if isinstance(part, cst.FormattedStringExpression)
                    else UNKNOWN
                    for part in node.parts
                )  # fmt: skip
            case cst.BinaryOperation(operator=cst.Add()):
                return self.text(node.left) + self.text(node.right)
            case cst.BooleanOperation():
                texts = [self.text(node.left), self.text(node.right)]
                return next((text for text in texts if vendor_of_address(text)), UNKNOWN)
            case cst.Call():
                return self._text_of_call(node)
            case cst.Name() | cst.Attribute():
                value = self.value(node)
                return value.text if isinstance(value, Text) else UNKNOWN
        return UNKNOWN

    def _text_of_call(self, node: cst.Call) -> str:
        """`url.rstrip("/")`, `url.format(…)`, `os.getenv("…", "https://…")`."""
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("rstrip", "format", "strip"):
            return self.text(node.func.value)
        if self.imported(node.func) in ("os.getenv", "os.environ.get", "urllib.parse.urljoin"):
            texts = [self.text(argument.value) for argument in node.args]
            return next((text for text in texts if vendor_of_address(text)), UNKNOWN)
        return UNKNOWN

    # For other files.

    def exports(self) -> dict[str, Value]:
        """What others may import from here and follow on their own."""
        found: dict[str, Value] = {}
        for key in self.bound:
            name = key.removesuffix("()")
            value = (
                self._returned(Function(self.source.file, name)) if key.endswith("()") else self._bound(key)
            )
            if "<locals>" not in key and isinstance(value, Client | Web | Text | Instance):
                found[key] = value
        for name, full in self.passed_on.items():
            value = self._from_import(full)
            if value is not None and not isinstance(value, Sdk):
                found[name] = value
        for key in [key for key in found if key.endswith("()")]:
            found[key.removesuffix("()")] = Function(self.source.file, key.removesuffix("()"))
        for name in self.classes:
            if any(key.startswith(f"{name}.") for key in found):
                found[name] = Class(self.source.file, name)
        return {key: value for key, value in found.items() if self._is_worth_it(value, found)}

    def _is_worth_it(self, value: Value, found: dict[str, Value]) -> bool:
        """Whether an object of some class has anything to do with models."""
        if not isinstance(value, Instance) or value.of.file != self.source.file:
            return True
        return value.of.name in found

    def uses_tekton(self) -> bool:
        return any(name.partition(".")[0] == TEKTON for name in self.imports)


def _is_dotted(node: cst.BaseExpression) -> bool:
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def _best_first(bound: Iterable[Bound]) -> list[Bound]:
    """What was assigned tells more than an annotation."""
    return sorted(bound, key=lambda each: each.is_annotation)


def _key(node: cst.BaseExpression) -> str | None:
    return literal(node) if isinstance(node, cst.SimpleString) else None
