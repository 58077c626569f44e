"""What does a Python file do to reach models on its own?"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from rhetor.migrate import phrases
from rhetor.migrate.book import dotted, literal
from rhetor.migrate.finding import Change, Effort, Finding, Kind, Reading
from rhetor.migrate.imports import Undecided
from rhetor.migrate.names import Names
from rhetor.migrate.packages import ADAPTER_NAMES, FRAME_FIELDS, FRAMES, PYTHON, Package, words
from rhetor.migrate.point import pointed
from rhetor.migrate.replace import replacements
from rhetor.migrate.source import Source
from rhetor.migrate.values import Client, Sdk, Text, Value, Web, World
from rhetor.migrate.vendors import has_secret, is_model, vendor_of_address, vendor_of_variable

VERBS = words("get post put patch delete request stream send urlopen Request build_request fetch")
CONNECTS = frozenset(
    {
        *("websockets.connect", "websockets.client.connect", "websockets.asyncio.client.connect"),
        *("websockets.sync.client.connect", "websockets.legacy.client.connect"),
        *("websocket.create_connection", "websocket.WebSocketApp", "websocket.WebSocket"),
    }
)
MODULE_SETTINGS = {("api_key",), ("api_base",), ("base_url",), ("organization",), ("api_type",)}
SPELLINGS = frozenset({"beta", "with_raw_response", "with_streaming_response", "aio", "async_client"})
"""Words on the way to a method that change how it answers, not what it asks."""
PYTHON_SOCKET = "TektonLLMWebSocketClient"


def read(source: Source, world: World | None = None, component: str | None = None) -> Reading:
    """Everything in one file that reaches models, and what may be changed beyond doubt.

    `world` has what other files define; `component` is the name under which a
    TektonLLMClient may take the place of a vendor's client.

    Raises:
        libcst.ParserSyntaxError: it is no Python.
    """
    names = Names(source, world)
    reader = _Reader(names)
    names.module.visit(reader)
    findings = [*reader.findings, *_adapters(names, reader), *_addresses(names, reader)]
    changes = [*(replacements(names, component) if component is not None else ()), *reader.changes]
    at_gateway = reader.at_gateway | ({""} if names.uses_tekton() else set())
    return Reading(
        tuple(sorted(findings)),
        tuple(changes),
        frozenset(at_gateway),
        names.exports(),
        names.imports,
    )


class _Reader(cst.CSTVisitor):
    """Walks through a file once and writes down what it finds."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.changes: list[Change] = []
        self.at_gateway: set[str] = set()
        self.addresses: list[tuple[cst.SimpleString | cst.FormattedString, str]] = []
        """Texts that begin with a vendor's address."""
        self.reached: list[str] = []
        """Addresses that something was found to ask."""
        self._names = names
        self._file = names.source.file
        self._inside_pointed: list[tuple[cst.BaseExpression, str]] = []

    # Imports.

    def visit_Import(self, node: cst.Import) -> None:
        self._imported(node, [dotted(alias.name) for alias in node.names])

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        if node.relative or isinstance(node.names, cst.ImportStar):
            self._imported(node, [] if node.relative else [dotted(node.module)])
            return
        self._imported(node, [f"{dotted(node.module)}.{dotted(alias.name)}" for alias in node.names])

    def _imported(self, node: cst.CSTNode, modules: list[str]) -> None:
        for package in PYTHON:
            if any(package.owns(module) for module in modules):
                line = self._names.line(node)
                what = phrases.shortened(self._names.code(node))
                self.findings.append(phrases.imported(self._file, line, package, what))

    # Calls.

    def visit_Call(self, node: cst.Call) -> None:
        called = self._names.value(node.func)
        match called:
            case Sdk() if called.path and called.path[-1] in called.package.clients:
                self._on_client(node, called)
            case Sdk() | Client():
                self._on_call(node, called)
            case _:
                self._on_web(node)

    def visit_Assign(self, node: cst.Assign) -> None:
        """`openai.api_key = …` makes a client of the module itself."""
        for target in node.targets:
            value = self._names.value(target.target) if isinstance(target.target, cst.Attribute) else None
            if isinstance(value, Sdk) and value.path in MODULE_SETTINGS:
                reason = "the module itself has a client of its own: make one, and hand it around"
                what = f"{dotted(target.target)} ="
                self._add(node, Kind.CLIENT, what, value.package, Effort.ASSISTED, reason, "")

    def _on_client(self, node: cst.Call, made: Sdk) -> None:
        client = self._names.value(node)
        if not isinstance(client, Client) or client.at_gateway:
            self.at_gateway.add(made.package.name)
            return
        package, made_by = made.package, made.path[-1]
        effort, reason = Effort.ASSISTED, ""
        try:
            edits = pointed(self._names, node, package, made_by)
            keys = [a.value for a in node.args if a.keyword and a.keyword.value == "api_key"]
            places = tuple((self._names.start(key), self._names.end(key)) for key in keys)
            what = f"{made_by} reaches the gateway"
            self.changes.append(Change(client.origin, package.name, what, edits, hides=places))
            reason = "two arguments of its constructor"
            self._inside_pointed += [(key, client.origin) for key in keys]
        except Undecided as undecided:
            reason = str(undecided)
        self._add(node, Kind.CLIENT, dotted(node.func) or made_by, package, effort, reason, client.origin)

    def _on_call(self, node: cst.Call, called: Sdk | Client) -> None:
        if isinstance(called, Client) and called.at_gateway:
            self.at_gateway.add(called.package.name)
            return
        package = called.package
        path = ".".join(word for word in called.path if word not in SPELLINGS)
        origin = called.origin if isinstance(called, Client) else ""
        what = phrases.shortened(dotted(node.func) or path)
        elsewhere = _elsewhere(package, path)
        if elsewhere is not None:
            self._add(node, Kind.CALL, what, package, Effort.BY_HAND, elsewhere, origin)
        elif path in package.streams or (path in package.calls and _streams(node)):
            reason = (
                "`async for chunk in client.generate_text(…, streaming=True)`: look at errors and the end"
            )
            self._add(node, Kind.STREAM, what, package, Effort.ASSISTED, reason, origin)
        elif path in package.calls:
            self._add(node, Kind.CALL, what, package, Effort.ASSISTED, _why_assisted(node, package), origin)

    def _add(
        self,
        node: cst.CSTNode,
        kind: Kind,
        what: str,
        package: Package,
        effort: Effort,
        reason: str,
        client: str,
    ) -> None:
        line = self._names.line(node)
        self.findings.append(
            Finding(
                self._file,
                line,
                kind,
                what,
                package.vendor,
                package.instead,
                effort,
                reason,
                package.name,
                client,
            )
        )

    def _on_web(self, node: cst.Call) -> None:
        name = self._names.imported(node.func) or dotted(node.func)
        last = node.func.attr.value if isinstance(node.func, cst.Attribute) else name.rpartition(".")[2]
        if name in CONNECTS or last in ("ws_connect", "aconnect_ws", "connect_ws"):
            self._on_connect(node, name or last)
            return
        made = self._names.value(node)
        if isinstance(made, Web):
            self._on_address(node, name, made.base_url)
        elif last in VERBS:
            for argument in node.args:
                value = self._names.value(argument.value)
                if isinstance(value, Text):
                    self._on_address(node, name or last, value.text)
                    return
            owner = self._names.value(node.func.value) if isinstance(node.func, cst.Attribute) else None
            if isinstance(owner, Web):
                self._on_address(node, name or last, owner.base_url)

    def _on_address(self, node: cst.Call, name: str, url: str) -> None:
        self.reached.append(url)
        what = phrases.shortened(f"{name} {url}")
        vendor = vendor_of_address(url) or ""
        self.findings.append(phrases.address(self._file, self._names.line(node), what, vendor))

    def _on_connect(self, node: cst.Call, name: str) -> None:
        urls = [value.text for a in node.args if isinstance(value := self._names.value(a.value), Text)]
        if not urls and not self._sends_frames(node):
            return
        self.reached += urls
        vendor = (vendor_of_address(urls[0]) or "") if urls else ""
        what = phrases.shortened(f"{name} {urls[0] if urls else ''}")
        line = self._names.line(node)
        self.findings.append(phrases.websocket(self._file, line, what, vendor, PYTHON_SOCKET))

    def _sends_frames(self, node: cst.CSTNode) -> bool:
        """Whether what surrounds a connection asks for text: in its class, else in the file."""
        room: cst.CSTNode = node
        while room is not self._names.module and not isinstance(room, cst.ClassDef):
            room = self._names.parents[room]
        look = _Frames()
        room.visit(look)
        return look.found

    # Texts.

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        text = literal(node)
        if text is None or _is_docstring(node, self._names):
            return
        line = self._names.line(node)
        if has_secret(text):
            self.findings.append(phrases.secret(self._file, line))
        elif (vendor := vendor_of_variable(text)) is not None:
            found = phrases.key(self._file, line, text, vendor)
            self.findings.append(self._with_client(found, node))
        elif is_model(text) and not _is_key(node, self._names):
            self.findings.append(phrases.model(self._file, line, text))
        elif vendor_of_address(text):
            self.addresses.append((node, text))

    def visit_FormattedString(self, node: cst.FormattedString) -> None:
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText) and has_secret(part.value):
                self.findings.append(phrases.secret(self._file, self._names.line(node)))
        if vendor_of_address(text := self._names.text(node)):
            self.addresses.append((node, text))

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        """`openai_api_key: str` in pydantic's settings reads OPENAI_API_KEY."""
        if not isinstance(node.target, cst.Name):
            return
        vendor = vendor_of_variable(name := node.target.value.upper())
        owner = self._names.local(node.target)
        bases = self._names.bases((owner or "").rpartition(".")[0])
        if vendor and any(dotted(base).endswith("BaseSettings") for base in bases):
            self.findings.append(phrases.key(self._file, self._names.line(node), name, vendor))

    def _with_client(self, found: Finding, node: cst.CSTNode) -> Finding:
        """A key that goes when the client it was for is pointed at the gateway."""
        start = self._names.start(node)
        for argument, origin in self._inside_pointed:
            if self._names.start(argument) <= start < self._names.end(argument):
                return Finding(
                    found.file, found.line, found.kind, found.what, found.vendor, found.instead, found.effort,
                    "its client gets the gateway's token instead", client=origin,
                )  # fmt: skip
        return found


def _adapters(names: Names, reader: _Reader) -> Iterator[Finding]:
    """Classes that are made to stand between a program and a model."""
    raw = {f.line for f in reader.findings if f.kind in (Kind.HTTP, Kind.WEBSOCKET)}
    for name, node in names.classes.items():
        if not any(word in node.name.value for word in ADAPTER_NAMES):
            continue
        held = [value for value in _held(names, name) if not (isinstance(value, Client) and value.at_gateway)]
        by_itself = raw & set(range(names.line(node), names.source.line_of(names.end(node)) + 1))
        clients = [value for value in held if isinstance(value, Client)]
        if not held and not by_itself:
            continue
        client = clients[0] if clients else None
        origins = {value.origin for value in clients}
        # One change settles a class that holds one client and does nothing by itself.
        origin = (
            client.origin
            if client and len(origins) == 1 and len(held) == len(clients) and not by_itself
            else ""
        )
        yield Finding(
            names.source.file, names.line(node), Kind.ADAPTER, f"class {node.name.value}",
            client.package.vendor if client else "", "TektonLLMClient in the places that use it",
            Effort.BY_HAND, "its callers decide how much of it they need",
            client.package.name if client else "", origin,
        )  # fmt: skip


def _held(names: Names, name: str) -> Iterator[Value]:
    for key in names.bound:
        owner, _, attribute = key.removesuffix("()").rpartition(".")
        if owner == name and not key.endswith("()"):
            value = names.attribute_of_class(name, attribute)
            if isinstance(value, Client | Web):
                yield value


class _Frames(cst.CSTVisitor):
    """Looks for a message that asks for text."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def visit_Dict(self, node: cst.Dict) -> None:
        fields: dict[str, cst.BaseExpression] = {}
        for element in node.elements:
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString):
                fields[literal(element.key) or ""] = element.value
        said = fields.get("type")
        kind = literal(said) if isinstance(said, cst.SimpleString) else None
        if kind in FRAMES and fields.keys() & FRAME_FIELDS:
            self.found = True


def _addresses(names: Names, reader: _Reader) -> Iterator[Finding]:
    """Addresses that nothing in this file was seen to ask: others do, with what they import."""
    asked = reader.reached
    for node, text in reader.addresses:
        inside_call = isinstance(names.parents.get(node), cst.Arg | cst.FormattedStringExpression)
        if any(text in url or url in text for url in asked) or (inside_call and _is_of_client(node, names)):
            continue
        vendor = vendor_of_address(text) or ""
        yield phrases.address(names.source.file, names.line(node), phrases.shortened(text), vendor)


def _is_of_client(node: cst.CSTNode, names: Names) -> bool:
    """Whether an address is an argument of an SDK's constructor, which was found already."""
    while node is not names.module:
        node = names.parents[node]
        if isinstance(node, cst.Call):
            return isinstance(names.value(node.func), Sdk)
        if isinstance(node, cst.BaseStatement | cst.SimpleStatementLine):
            return False
    return False


def _is_docstring(node: cst.CSTNode, names: Names) -> bool:
    """Whether a text stands for itself, as documentation does."""
    while isinstance(parent := names.parents.get(node), cst.ConcatenatedString):
        node = parent
    return isinstance(parent, cst.Expr)


def _is_key(node: cst.CSTNode, names: Names) -> bool:
    """Whether a text is the name of an entry, as in a table of prices by model."""
    parent = names.parents.get(node)
    return isinstance(parent, cst.DictElement) and parent.key is node


def _elsewhere(package: Package, path: str) -> str | None:
    if path in package.calls or path in package.streams:
        return None
    table = package.elsewhere or {}
    return next((reason for words, reason in table.items() if path.startswith(words)), None)


def _streams(node: cst.Call) -> bool:
    return any(
        argument.keyword is not None
        and argument.keyword.value in ("stream", "streaming")
        and isinstance(argument.value, cst.Name)
        and argument.value.value == "True"
        for argument in node.args
    )


def _why_assisted(node: cst.Call, package: Package) -> str:
    named = {argument.keyword.value for argument in node.args if argument.keyword}
    if named & {"tools", "functions"}:
        return '`options={"tools": …}`: look at how its calls are read'
    if package.vendor in ("google", "cohere", "litellm"):
        return "its messages and its reply have another shape"
    return "`generate_text` or `generate_chat_response`: look at what is read from its reply"
