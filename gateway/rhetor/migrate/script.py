"""What does a JavaScript or TypeScript file do to reach models on its own?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rhetor.migrate import phrases
from rhetor.migrate.files import PAGE
from rhetor.migrate.finding import Change, Effort, Finding, Kind, Reading
from rhetor.migrate.imports import Undecided
from rhetor.migrate.packages import ADAPTER_NAMES, FRAME_FIELDS, FRAMES, Package, words
from rhetor.migrate.script_names import LONG, ScriptNames, package_of
from rhetor.migrate.script_point import pointed, removed
from rhetor.migrate.source import Source
from rhetor.migrate.tokens import Sort, Token, tokens
from rhetor.migrate.values import Client, Sdk, World
from rhetor.migrate.vendors import has_secret, is_model, vendor_of_address, vendor_of_variable

OLD_CLIENTS = words("LLMAdapterClient LLMAdapter RhetorClient LLMClient")
VERBS = words("fetch axios got ky get post put request $fetch create extend superagent")
SOCKETS = frozenset({"WebSocket", "ReconnectingWebSocket", "WS"})
SPELLINGS = frozenset({"beta", "withResponse", "asResponse"})
_SCRIPT = re.compile(r"<script\b[^>]{0,2000}>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_CLIENT = "tekton-llm-client"


def read(source: Source, world: World | None = None) -> Reading:
    """Everything in one file that reaches models, and what may be changed beyond doubt."""
    is_page = any(source.file.lower().endswith(suffix) for suffix in PAGE)
    found: list[Token] = []
    for match in _SCRIPT.finditer(source.text) if is_page else ():
        found += tokens(source.text, match.start(1), match.end(1))
    if not is_page:
        found = tokens(source.text)
    names = ScriptNames(source, found, world or {})
    reader = _Reader(names)
    return Reading(
        tuple(sorted(set(reader.everything()))),
        tuple(reader.changes),
        frozenset(names.at_gateway | ({""} if is_page and f"{_CLIENT}.js" in source.text else set())),
        names.exports(),
        frozenset(each.module for each in names.imports),
    )


class _Reader:
    """Goes through the tokens, once for each thing that it looks for."""

    def __init__(self, names: ScriptNames) -> None:
        self._names = names
        self._file = names.source.file
        self.changes: list[Change] = []
        self._asked: list[str] = []
        self._ranges: list[tuple[int, int, str]] = []
        """Constructors, by their tokens, with the client if it will be pointed at the gateway."""

    def everything(self) -> Iterator[Finding]:
        found = [*self._imports(), *self._clients(), *self._chains(), *self._sockets(), *self._fetches()]
        yield from found
        yield from self._adapters(found)
        yield from self._texts()

    def _add(
        self, i: int, kind: Kind, what: str, package: Package, effort: Effort, reason: str, client: str = ""
    ) -> Finding:
        return Finding(
            self._file, self._names.line(i), kind, phrases.shortened(what), package.vendor, package.instead,
            effort, reason, package.name, client,
        )  # fmt: skip

    def _imports(self) -> Iterator[Finding]:
        for found in self._names.imports:
            if (package := package_of(found.module)) is not None:
                yield phrases.imported(self._file, self._names.line(found.at), package, found.module)

    def _clients(self) -> Iterator[Finding]:
        names = self._names
        for i, client in names.made.items():
            name = i + 1 if names.token(i).value == "new" else i
            opening = next((j for j in range(name, name + 6) if names.token(j).value == "("), 0)
            end = names.closing(opening) if opening else name
            settled = ""
            if not client.at_gateway:
                effort, reason = Effort.ASSISTED, "two options of its constructor"
                try:
                    if any(start < i <= stop for start, stop, _ in self._ranges):
                        raise Undecided("it stands inside another client's arguments")
                    edits = pointed(names, client, name, opening)
                    what = f"{names.token(name).value} reaches the gateway"
                    keys = removed(names, client, opening)
                    self.changes.append(Change(client.origin, client.package.name, what, edits, hides=keys))
                    settled = client.origin
                except Undecided as undecided:
                    reason = str(undecided)
                    effort = Effort.BY_HAND if "page" in reason else effort
                what = " ".join(names.token(j).value for j in range(i, name + 1))
                yield self._add(i, Kind.CLIENT, what, client.package, effort, reason, client.origin)
            self._ranges.append((i, end, settled))

    # Calls.

    def _chains(self) -> Iterator[Finding]:
        names = self._names
        for i, token in enumerate(names.tokens):
            if token.sort is Sort.NAME and names.token(i - 1).value not in (".", "?.", "new", "import"):
                yield from self._chain(i)

    def _chain(self, start: int) -> Iterator[Finding]:
        """`client.chat.completions.create(…)` from its first name on, through calls that give clients."""
        names = self._names
        key, i = names.token(start).value, start
        if key == "this" and names.token(start + 1).value in (".", "?."):
            key, i = f"this.{names.token(start + 2).value}", start + 2
        value = names.meaning(key, start)
        path: list[str] = list(value.path) if isinstance(value, Sdk) else []
        while True:
            sign = names.token(i + 1).value
            if sign in (".", "?.") and names.token(i + 2).sort is Sort.NAME:
                i += 2
                path.append(names.token(i).value)
            elif sign == "!":
                i += 1
            elif sign == "(":
                if isinstance(value, Sdk | Client):
                    yield from self._call(start, i + 1, value, path)
                value = self._returned(value, key, path, i + 1)
                path = []
                i = names.closing(i + 1)
            else:
                break
        if isinstance(value, Client) and not path and i > start:
            names.remember(start, value)

    def _returned(self, value: object, key: str, path: list[str], opening: int) -> Client | None:
        if isinstance(value, Client) and ".".join(path) in value.package.keeps:
            return value
        if path and path[-1] == "pipe":
            piped = self._names.known.get(self._names.token(opening + 1).value)
            return piped if isinstance(piped, Client) else (value if isinstance(value, Client) else None)
        returned = self._names.known.get(f"{key}()") if not path else None
        return returned if isinstance(returned, Client) else None

    def _call(self, start: int, opening: int, value: Sdk | Client, path: list[str]) -> Iterator[Finding]:
        if isinstance(value, Client) and value.at_gateway:
            self._names.at_gateway.add(value.package.name)
            return
        package = value.package
        said = ".".join(word for word in path if word not in SPELLINGS).removeprefix("default.")
        client = value.origin if isinstance(value, Client) else ""
        chain = self._names.tokens[start:opening]
        what = "".join("…" if t.sort in (Sort.TEXT, Sort.PART) else t.value for t in chain)
        table = package.elsewhere or {}
        known = said in package.calls or said in package.streams
        elsewhere = (
            None if known else next((why for words, why in table.items() if said.startswith(words)), None)
        )
        if elsewhere is not None:
            yield self._add(start, Kind.CALL, what, package, Effort.BY_HAND, elsewhere, client)
        elif said in package.streams or (said in package.calls and self._streams(opening)):
            reason = "`for await (const chunk of client.stream(…))`: look at errors and the end"
            yield self._add(start, Kind.STREAM, what, package, Effort.ASSISTED, reason, client)
        elif said in package.calls:
            reason = "`generateText` or `generateChatResponse`: look at what is read from its reply"
            yield self._add(start, Kind.CALL, what, package, Effort.ASSISTED, reason, client)

    def _streams(self, opening: int) -> bool:
        names = self._names
        body = opening + 1
        for i in range(opening, min(names.closing(opening), opening + 2000)):
            if names.token(i).value == "stream" and names.around.get(i) == body:
                return names.token(i + 1).value == ":" and names.token(i + 2).value == "true"
        return False

    # Without an SDK.

    def _fetches(self) -> Iterator[Finding]:
        names = self._names
        for i, token in enumerate(names.tokens):
            if token.value != "(" or names.token(i - 1).value not in VERBS:
                continue
            url = self._url(i + 1)
            if (
                url is None and names.token(i + 1).value == "{"
            ):  # axios({ url: … }), axios.create({ baseURL: … })
                urls = (self._url(j + 2) for j in range(i, min(names.closing(i), i + 80))
                        if names.token(j).value in ("url", "baseURL", "uri", "prefixUrl"))  # fmt: skip
                url = next((found for found in urls if found), None)
            if url is not None:
                self._asked.append(url)
                what = phrases.shortened(f"{names.token(i - 1).value} {url}")
                start = self._start_of_chain(i - 1)
                yield phrases.address(self._file, names.line(start), what, vendor_of_address(url) or "")

    def _url(self, i: int) -> str | None:
        """A vendor's address that begins here: a text, a constant, or a template that starts with one."""
        names = self._names
        token = names.token(i)
        if token.sort is Sort.TEXT:
            if vendor_of_address(text := token.value if token.whole else f"{token.value}…"):
                return text
            key = names.token(i + 1).value if not token.whole and not token.value else ""
            i += 1
        else:
            key = token.value
        if key == "new" and names.token(i + 1).value == "URL":
            return self._url(i + 3)
        if key == "this":
            key = f"this.{names.token(i + 2).value}"
        return names.addresses.get(key)

    def _start_of_chain(self, i: int) -> int:
        while self._names.token(i - 1).value in (".", "?."):
            i -= 2
        return i

    def _sockets(self) -> Iterator[Finding]:
        names = self._names
        asks = self._sends_frames()
        for i, token in enumerate(names.tokens):
            if (
                token.value not in SOCKETS
                or names.token(i - 1).value != "new"
                or names.token(i + 1).value != "("
            ):
                continue
            url = self._url(i + 2)
            if url is None and not asks:
                continue
            self._asked += [url] if url else []
            vendor = (vendor_of_address(url) or "") if url else ""
            what = phrases.shortened(f"new {token.value} {url or ''}")
            yield phrases.websocket(self._file, names.line(i - 1), what, vendor, _CLIENT)

    def _sends_frames(self) -> bool:
        """Whether the file makes messages that ask for text."""
        names = self._names
        for i, token in enumerate(names.tokens):
            if token.value not in ("type", "action") or names.token(i + 1).value != ":":
                continue
            kind = names.token(i + 2)
            opening = names.around.get(i, i)
            inside = names.tokens[opening : min(names.closing(opening), opening + LONG)]
            if kind.sort is Sort.TEXT and kind.value in FRAMES and FRAME_FIELDS & {t.value for t in inside}:
                return True
        return False

    def _adapters(self, found: list[Finding]) -> Iterator[Finding]:
        names = self._names
        held = [f for f in found if f.kind in (Kind.CLIENT, Kind.HTTP, Kind.WEBSOCKET)]
        for i, token in enumerate(names.tokens):
            if token.value == "new" and names.token(i + 1).value in OLD_CLIENTS:
                yield self._adapter(i, f"new {names.token(i + 1).value}", None, Effort.ASSISTED)
            elif token.value == "class" and any(word in names.token(i + 1).value for word in ADAPTER_NAMES):
                body = next((j for j in range(i, i + 40) if names.token(j).value == "{"), i)
                lines = range(names.line(i), names.line(names.closing(body)) + 1)
                inside = [f for f in held if f.line in lines]
                if inside or names.token(i + 1).value in OLD_CLIENTS:
                    client = next((f for f in inside if f.kind is Kind.CLIENT), None)
                    yield self._adapter(i, f"class {names.token(i + 1).value}", client, Effort.BY_HAND)

    def _adapter(self, i: int, what: str, client: Finding | None, effort: Effort) -> Finding:
        return Finding(
            self._file, self._names.line(i), Kind.ADAPTER, what, client.vendor if client else "",
            f"{_CLIENT} in the places that use it", effort, "its callers decide how much of it they need",
            client.package if client else "", client.client if client else "",
        )  # fmt: skip

    # Texts.

    def _texts(self) -> Iterator[Finding]:
        names = self._names
        for i, token in enumerate(names.tokens):
            line = names.line(i)
            if token.sort is Sort.NAME:
                if self._is_variable(i) and (vendor := vendor_of_variable(token.value)):
                    yield self._key(i, token.value, vendor)
            elif token.sort not in (Sort.TEXT, Sort.PART):
                continue
            elif has_secret(token.value):
                yield phrases.secret(self._file, line)
            elif (vendor := vendor_of_variable(token.value)) is not None:
                yield self._key(i, token.value, vendor)
            elif token.whole and is_model(token.value) and not self._is_entry(i):
                yield phrases.model(self._file, line, token.value)
            elif (vendor := vendor_of_address(token.value if token.whole else f"{token.value}…")) is not None:
                inside = any(start <= i <= end for start, end, _ in self._ranges)
                if not inside and not any(token.value in url or url in token.value for url in self._asked):
                    yield phrases.address(self._file, line, phrases.shortened(token.value), vendor)

    def _key(self, i: int, name: str, vendor: str) -> Finding:
        found = phrases.key(self._file, self._names.line(i), name, vendor)
        client = next((client for start, end, client in self._ranges if start <= i <= end), "")
        if not client:
            return found
        reason = "its client gets the gateway's token instead"
        return Finding(
            found.file,
            found.line,
            found.kind,
            name,
            vendor,
            found.instead,
            found.effort,
            reason,
            client=client,
        )

    def _is_variable(self, i: int) -> bool:
        """`process.env.NAME`, `import.meta.env.NAME`, `const { NAME } = process.env`."""
        names = self._names
        if names.token(i - 1).value in (".", "?."):
            return names.token(i - 2).value == "env"
        end = names.closing(names.around.get(i, i))
        after = [names.token(end + n).value for n in range(1, 5)]
        return after[0] == "=" and "env" in after

    def _is_entry(self, i: int) -> bool:
        """Whether a text is the name of an entry, as in a table of prices by model."""
        names = self._names
        return names.token(i + 1).value == ":" and names.token(i - 1).value in ("{", ",")
