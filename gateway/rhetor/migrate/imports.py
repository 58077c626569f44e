"""Imports that edits of a Python file need, at the place where people would put them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import libcst as cst
from libcst.metadata import BuiltinScope, GlobalScope, ImportAssignment

from rhetor.migrate.book import dotted
from rhetor.migrate.finding import Edit
from rhetor.migrate.names import Names


class Undecided(Exception):
    """Not beyond doubt; the message says why."""


def ensure_editable(names: Names, node: cst.CSTNode) -> None:
    """
    Raises:
        Undecided: it stands in a text, whose quotes and lines an edit would have to fit into.
    """
    if any(isinstance(each, cst.FormattedStringExpression) for each in names.above(node)):
        raise Undecided("it stands inside an f-string")


def ensure_comments_stay(names: Names, edits: Sequence[Edit]) -> None:
    """
    Raises:
        Undecided: people wrote why, and it would be gone.
    """
    for at in map(names.start, names.comments):
        if any(edit.start <= at < edit.end for edit in edits):
            raise Undecided("a comment stands in what would be replaced")


def quote(names: Names) -> str:
    """The quotes that the file likes best."""
    text = names.source.text
    return "'" if text.count("'") > text.count('"') else '"'


def ensure_import(names: Names, node: cst.CSTNode, module: str) -> tuple[Edit, ...]:
    """What has `import module` mean at a place what it says.

    Raises:
        Undecided: the name means something else there, or nothing can be imported before it.
    """
    if _means(names, node, module, f"import {module}"):
        return ()
    before = names.start(node)
    at, is_alone = _place_among_imports(names, module, before)
    if at > before:
        raise Undecided(f"there is no place for `import {module}` before it")
    end = names.source.newline * (2 if is_alone else 1)
    return (Edit(at, at, f"import {module}{end}"),)


def _means(names: Names, node: cst.CSTNode, name: str, statement: str) -> bool:
    """Whether the name is there and means that statement; raises when it means something else."""
    scope = names.scope(node)
    while scope is not None and not isinstance(scope, BuiltinScope):
        for assignment in scope[name] if name in scope and not isinstance(scope, GlobalScope) else ():
            if not isinstance(assignment.scope, GlobalScope | BuiltinScope):
                raise Undecided(f"the name {name} means something else there")
        if isinstance(scope, GlobalScope):
            break
        scope = scope.parent
    look = _Others(name)
    names.module.visit(look)
    if look.found:
        raise Undecided(f"the name {name} means something else there")
    assignments = [a for a in scope[name] if isinstance(a.scope, GlobalScope)] if scope is not None else []
    is_there = _is_in_function(names, node)
    for assignment in assignments:
        if not isinstance(assignment, ImportAssignment) or not _is_plain(names, assignment.node, statement):
            raise Undecided(f"the name {name} means something else there")
        is_there = is_there or names.start(assignment.node) < names.start(node)
    return is_there and bool(assignments)


class _Others(cst.CSTVisitor):
    """Looks for what scopes do not tell of a name: that it is deleted, or caught by a `case`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.found = False
        self._name = name

    def _on(self, *nodes: cst.CSTNode | None) -> None:
        self.found = self.found or any(isinstance(n, cst.Name) and n.value == self._name for n in nodes)

    def visit_Del(self, node: cst.Del) -> None:
        target = node.target
        several = target.elements if isinstance(target, cst.Tuple | cst.List) else ()
        self._on(target, *(element.value for element in several))

    def visit_MatchAs(self, node: cst.MatchAs) -> None:
        self._on(node.name)

    def visit_MatchStar(self, node: cst.MatchStar) -> None:
        self._on(node.name)

    def visit_MatchMapping(self, node: cst.MatchMapping) -> None:
        self._on(node.rest)


def _is_in_function(names: Names, node: cst.CSTNode) -> bool:
    """Whether it runs only when somebody calls what it is in: in the body, and no default or decorator."""
    for above in names.above(node):
        if isinstance(above, cst.FunctionDef | cst.Lambda) and above.body is node:
            return True
        node = above
    return False


def _is_plain(names: Names, node: cst.CSTNode, statement: str) -> bool:
    """Whether an import at the top level says the same as a statement, perhaps beside other names."""
    line = names.parents.get(node)
    if not isinstance(line, cst.SimpleStatementLine) or names.parents.get(line) is not names.module:
        return False
    match node:
        case cst.Import():
            return any(a.asname is None and f"import {dotted(a.name)}" == statement for a in node.names)
        case cst.ImportFrom() if not isinstance(node.names, cst.ImportStar):
            start = f"from {'.' * len(node.relative)}{dotted(node.module)} import"
            return any(a.asname is None and f"{start} {dotted(a.name)}" == statement for a in node.names)
    return False


def _place_among_imports(names: Names, module: str, before: int) -> tuple[int, bool]:
    """Where an import of the standard library goes, and whether it is a paragraph of its own."""
    first: int | None = None
    after: int | None = None
    for statement in names.module.body:
        if names.end(statement) > before:
            break
        line = _import_of(statement)
        if line is None:
            continue
        start = names.source.line_start(names.start(statement))
        root = dotted(line.module if isinstance(line, cst.ImportFrom) else line.names[0].name).partition(".")[
            0
        ]
        if root not in sys.stdlib_module_names:
            first = start if first is None else first
        elif isinstance(line, cst.ImportFrom) or root > module:
            return (start if after is None else after), False
        else:
            after = _next_line(names, statement) if len(_body(statement)) == 1 else start
    if after is not None:
        return after, False
    return (first, True) if first is not None else (_after_head(names), True)


def _import_of(statement: cst.CSTNode) -> cst.Import | cst.ImportFrom | None:
    """The import that a line begins with; those from __future__ stay where they are."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return None
    first = statement.body[0]
    if isinstance(first, cst.ImportFrom):
        return None if dotted(first.module) == "__future__" else first
    return first if isinstance(first, cst.Import) else None


def _after_head(names: Names) -> int:
    """Behind the module's docstring and what it imports from the future."""
    at = 0
    for n, statement in enumerate(names.module.body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        first = statement.body[0]
        is_docstring = n == 0 and isinstance(first, cst.Expr) and isinstance(
            first.value, cst.SimpleString | cst.ConcatenatedString
        )  # fmt: skip
        is_future = isinstance(first, cst.ImportFrom) and dotted(first.module) == "__future__"
        if not is_docstring and not is_future:
            break
        at = _next_line(names, statement)
    if at == 0 and names.module.body:
        return names.source.line_start(names.start(names.module.body[0]))  # below comments: #!, licence
    return at


def _body(statement: cst.CSTNode) -> Sequence[cst.CSTNode]:
    return statement.body if isinstance(statement, cst.SimpleStatementLine) else ()


def _next_line(names: Names, statement: cst.CSTNode) -> int:
    end = names.end(statement)
    line = names.source.line_of(end)
    last = names.source.line_of(len(names.source.text))
    return names.source.offset(line + 1, 0) if line < last else names.source.line_start(end)
