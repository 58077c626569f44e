"""What do names of a JavaScript or TypeScript file stand for? By its tokens, since it is not parsed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rhetor.migrate.packages import JAVASCRIPT, TEKTON_NPM, Package, words
from rhetor.migrate.source import Source
from rhetor.migrate.tokens import Sort, Token
from rhetor.migrate.values import Client, Function, Sdk, Value, World
from rhetor.migrate.vendors import vendor_of_address

OPENING = {"(": ")", "[": "]", "{": "}"}
LONG = 400  # tokens of one statement that are looked at; longer ones are data
_END = Token(Sort.SIGN, "", 0, 0)
_NO_FUNCTIONS = words("if for while switch catch with return function")


@dataclass(frozen=True, slots=True)
class Import:
    """One statement that imports a package, or a module of the code base."""

    at: int
    module: str
    names: tuple[tuple[str, str], ...]
    """Local names, and what they are called where they come from: `default`, `*`, or their name."""


class ScriptNames:
    """The tokens of a file, and what its names mean."""

    def __init__(self, source: Source, tokens: Sequence[Token], world: World) -> None:
        self.source = source
        self.tokens = tokens
        self.pairs, self.around = _brackets(tokens)
        """Closing brackets by opening ones; the opening one that is around a token."""
        self.imports = list(self._imports())
        self.known: dict[str, Value] = {}
        """By name; those of `this` as `this.name`; what functions return as `name()`."""
        self.addresses: dict[str, str] = {}
        self._history: dict[str, list[tuple[int, Client]]] = {}
        self.made: dict[int, Client] = {}
        """Clients by the token that begins their making."""
        self.at_gateway: set[str] = set()
        self._ours = {
            name for i, t in enumerate(tokens) if "rhetor" in t.value.lower() for name in self._targets(i)
        }
        for each in self.imports:
            self._learn(each, world)
        self._learn_addresses()
        self._learn_clients()
        self._learn_types()

    def token(self, i: int) -> Token:
        return self.tokens[i] if 0 <= i < len(self.tokens) else _END

    def line(self, i: int) -> int:
        return self.source.line_of(self.token(i).start)

    def closing(self, i: int) -> int:
        """The bracket that ends what one begins; the last token where there is none."""
        return self.pairs.get(i, len(self.tokens) - 1)

    # Imports.

    def _imports(self) -> Iterator[Import]:
        for i, token in enumerate(self.tokens):
            if token.sort is not Sort.NAME or self.token(i - 1).value in (".", "?."):
                continue
            if token.value in ("import", "export"):
                yield from self._statement(i)
            if token.value in ("require", "import") and self.token(i + 1).value == "(":
                text = self.token(i + 2)
                if text.sort is Sort.TEXT and text.whole:
                    yield Import(i, text.value, tuple(self._destructured(i)))

    def _statement(self, i: int) -> Iterator[Import]:
        """`import a, { b as c } from "d"`, `export * from "d"`, `import "d"`."""
        if self.token(i + 1).sort is Sort.TEXT:
            yield Import(i, self.token(i + 1).value, ())
            return
        if self.token(i).value == "export" and self.token(i + 1).value not in ("*", "{", "type"):
            return
        for j in range(i + 1, min(i + LONG, len(self.tokens))):
            if self.token(j).value in (";", "=", "("):
                return
            if self.token(j).value == "from" and (text := self.token(j + 1)).sort is Sort.TEXT:
                yield Import(i, text.value, tuple(self._names_between(i + 1, j)))
                return

    def _names_between(self, start: int, end: int) -> Iterator[tuple[str, str]]:
        inside, j = False, start
        while j < end:
            token, after = self.token(j), self.token(j + 1)
            if token.value in ("{", "}"):
                inside = token.value == "{"
            elif token.value == "*" and after.value == "as":
                yield self.token(j + 2).value, "*"
                j += 2
            elif token.sort is Sort.NAME and not (token.value == "type" and after.sort is Sort.NAME):
                if after.value == "as":
                    yield self.token(j + 2).value, token.value
                    j += 2
                elif token.value != "type" or inside:
                    yield token.value, token.value if inside else "default"
            j += 1

    def _destructured(self, i: int) -> Iterator[tuple[str, str]]:
        """`const x = require(…)`, `const { a, b: c } = await import(…)`, `const x = require(…).y`."""
        member = self.token(self.closing(i + 1) + 2).value if self._is_member(i) else ""
        j = i - 1
        while self.token(j).value in ("await", "("):
            j -= 1
        if self.token(j).value != "=":
            return
        if self.token(j - 1).value != "}":
            yield self.token(j - 1).value, member or "default"
            return
        start = next((a for a, b in self.pairs.items() if b == j - 1), j - 1)
        k = start + 1
        while k < j - 1:
            if self.token(k).sort is Sort.NAME:
                renamed = self.token(k + 1).value == ":"
                yield self.token(k + 2 if renamed else k).value, self.token(k).value
                k += 2 if renamed else 0
            k += 1

    def _is_member(self, i: int) -> bool:
        return self.token(self.closing(i + 1) + 1).value == "."

    def _learn(self, found: Import, world: World) -> None:
        if found.module == TEKTON_NPM or found.module.endswith("/tekton-llm-client.js"):
            self.at_gateway.add("")
        package = package_of(found.module)
        for local, name in found.names:
            if package is not None:
                self.known[local] = Sdk(package, () if name == "*" else (name,))
            elif (value := world.get(found.module, {}).get(name)) is not None:
                self.known[local] = value
                if isinstance(value, Function) and f"{name}()" in world[found.module]:
                    self.known[f"{local}()"] = world[found.module][f"{name}()"]

    # What names stand for.

    def _learn_addresses(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.sort is Sort.TEXT and vendor_of_address(_open(token)):
                for name in self._targets(i):
                    self.addresses.setdefault(name, _open(token))

    def _learn_clients(self) -> None:
        for i, token in enumerate(self.tokens):
            made = self._maker(i) if token.sort is Sort.NAME else None
            if made is None:
                continue
            begin, package, name, opening = made
            end = self.closing(opening) if opening else i
            inside = self.tokens[i : end + 1]
            ours = any("rhetor" in t.value.lower() or t.value in self._ours for t in inside)
            client = Client(package, name, f"{self.source.file}@{self.token(begin).start}", ours)
            if ours:
                self.at_gateway.add(package.name)
            self.made[begin] = client
            for target in self._targets(begin):
                self._bind(target, begin, client)

    def _bind(self, name: str, at: int, client: Client) -> None:
        self.known[name] = client
        self._history.setdefault(name, []).append((at, client))

    def meaning(self, name: str, at: int) -> Value | None:
        """What a name stands for at a token: what it was last made to be before, else whatever it ever is."""
        history = self._history.get(name, ())
        before = [client for made, client in history if made <= at]
        return before[-1] if before else self.known.get(name)

    def remember(self, start: int, client: Client) -> None:
        """An expression that begins with a token gives a client to whatever it is assigned to."""
        for target in self._targets(start):
            if target not in self.known:
                self._bind(target, start, client)

    def _maker(self, i: int) -> tuple[int, Package, str, int] | None:
        """`new OpenAI(…)`, `new sdk.OpenAI(…)`, `createOpenAI(…)`: begin, package, class, opening bracket."""
        if self.token(i - 1).value in (".", "?."):
            return None
        value = self.known.get(self.token(i).value)
        if not isinstance(value, Sdk):
            return None
        end, path = i, list(value.path)
        while self.token(end + 1).value == "." and self.token(end + 2).sort is Sort.NAME:
            path.append(self.token(end + 2).value)
            end += 2
        made_by = path[-1] if path else "default"
        is_new = self.token(i - 1).value == "new"
        opening = end + 1 if self.token(end + 1).value == "(" else 0
        if made_by not in value.package.clients or not (is_new or (made_by[0].islower() and opening)):
            return None
        if not is_new and made_by == "default":
            return None
        return i - 1 if is_new else i, value.package, made_by, opening

    def _learn_types(self) -> None:
        """`client: OpenAI` as a field or a parameter, where nothing better is known of it."""
        for i, token in enumerate(self.tokens):
            if token.value != ":" or self.token(i - 1).sort is not Sort.NAME:
                continue
            value = self.known.get(self.token(i + 1).value)
            if isinstance(value, Sdk) and value.path and value.path[-1] in value.package.clients:
                client = Client(value.package, "", "", at_gateway=False)
                for name in (self.token(i - 1).value, f"this.{self.token(i - 1).value}"):
                    self.known.setdefault(name, client)

    def _targets(self, i: int) -> Iterator[str]:
        """What an expression that holds a token is assigned to, or which function returns it."""
        for j in range(i - 1, max(i - 40, -1), -1):
            value = self.token(j).value
            if value in ("=", "??=", "||="):
                yield from self._target(j)
                return
            if value in ("return", "=>"):
                yield from self._function_around(j)
                return
            if value in (";", "{", "}", "(", ")", "["):
                return

    def _target(self, equals: int) -> Iterator[str]:
        j = equals - 1
        if self.token(j - 1).value == ":" or self.token(j - 1).value == "|":  # a type stands before
            while j > 0 and self.token(j).value != ":" and equals - j < 12:
                j -= 1
            j -= 1
        name = self.token(j)
        if name.sort is not Sort.NAME:
            return
        if self.token(j - 1).value in (".", "?."):
            yield f"this.{name.value}" if self.token(j - 2).value == "this" else name.value
            return
        yield name.value
        if self.token(j - 1).value not in ("const", "let", "var"):
            yield f"this.{name.value}"  # a field of a class

    def _function_around(self, i: int) -> Iterator[str]:
        """The name of the function that returns here."""
        if self.token(i).value == "=>":
            yield from (f"{name}()" for name in self._arrow_name(i))
            return
        brace = self.around.get(i, -1)
        while brace > 0:
            before = brace - 1
            while before > 0 and self.token(before).value not in (")", "=>", ";", "{", "}"):
                before -= 1  # a type that says what comes back
            if self.token(before).value == "=>":
                yield from (f"{name}()" for name in self._arrow_name(before))
                return
            opening = self._opening(before)
            name = self.token(opening - 1) if opening else _END
            if name.sort is Sort.NAME and name.value not in _NO_FUNCTIONS:
                yield f"{name.value}()"
                return
            brace = self.around.get(brace, -1)

    def _arrow_name(self, arrow: int) -> Iterator[str]:
        opening = self._opening(arrow - 1)
        j = (opening or arrow - 1) - 1
        if self.token(j).value == "async":
            j -= 1
        if self.token(j).value == "=":
            yield from self._target(j)

    def _opening(self, closing: int) -> int:
        if self.token(closing).value != ")":
            return 0
        i = self.around.get(closing, 0)
        return i if self.pairs.get(i) == closing else 0

    def exports(self) -> dict[str, Value]:
        """What other files may import: clients, and functions that return them."""
        found: dict[str, Value] = {}
        for name, value in list(self.known.items()):
            if isinstance(value, Client) and not name.startswith("this."):
                found[name] = value
                if name.endswith("()"):
                    found[name[:-2]] = Function(self.source.file, name[:-2])
        for i, token in enumerate(self.tokens):
            if token.value == "default" and self.token(i - 1).value == "export":
                default = self.known.get(self.token(i + 1).value) or self.made.get(i + 1)
                if isinstance(default, Client):
                    found["default"] = default
        return found


def package_of(module: str) -> Package | None:
    """Whose package a module specifier names; modules below it count."""
    for package in JAVASCRIPT:
        if any(module == own or module.startswith(f"{own}/") for own in package.modules):
            return package
    return None


def _open(token: Token) -> str:
    """A text, with a sign that it goes on where a template does."""
    return token.value if token.whole else f"{token.value}…"


def _brackets(tokens: Sequence[Token]) -> tuple[dict[int, int], dict[int, int]]:
    pairs: dict[int, int] = {}
    around: dict[int, int] = {}
    open_: list[int] = []
    for i, token in enumerate(tokens):
        if open_:
            around[i] = open_[-1]
        if token.sort is not Sort.SIGN:
            continue
        if token.value in OPENING:
            open_.append(i)
        elif open_ and OPENING[tokens[open_[-1]].value] == token.value:
            # A bracket that closes nothing is passed over, and one that is never closed holds the rest.
            pairs[open_.pop()] = i
    return pairs, around
