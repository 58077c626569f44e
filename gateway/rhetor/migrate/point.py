"""An official client of a Python program is pointed at the gateway, where that is beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from rhetor.migrate.finding import Edit
from rhetor.migrate.imports import Undecided, ensure_comments_stay, ensure_editable, ensure_import, quote
from rhetor.migrate.names import Names
from rhetor.migrate.packages import DEFAULT_URL, Package
from rhetor.migrate.values import Sdk
from rhetor.migrate.vendors import vendor_of_address

LONGEST_LINE = 100  # what most formatters allow, or nearly


def pointed(names: Names, node: cst.Call, package: Package, made_by: str) -> tuple[Edit, ...]:
    """The edits that have this constructor reach the gateway.

    Raises:
        Undecided: says what somebody has to look at.
    """
    ensure_editable(names, node)
    if any(_makes_client(names, each) for each in names.above(node)):
        raise Undecided("it stands inside another client's arguments")
    pointing = package.pointing
    if pointing is None or made_by not in pointing.classes:
        raise Undecided(f"{made_by} cannot be pointed at the gateway by two arguments")
    keywords = _keywords(node)
    if doubtful := sorted(keywords.keys() & pointing.doubtful):
        raise Undecided(f"`{doubtful[0]}=` also says where it goes, or who asks")
    base_url = keywords.get(pointing.base_url)
    if base_url is not None and not _is_vendors_own(base_url, names, package):
        raise Undecided(f"`{pointing.base_url}=` sends it somewhere else already")
    arguments = {pointing.base_url: address(names, pointing.suffix), pointing.key: token(names)}
    edits = (*ensure_import(names, node, "os"), *with_arguments(names, node, arguments))
    ensure_comments_stay(names, edits)
    return edits


def _makes_client(names: Names, node: cst.CSTNode) -> bool:
    made = names.value(node.func) if isinstance(node, cst.Call) else None
    return isinstance(made, Sdk) and bool(made.path) and made.path[-1] in made.package.clients


def _keywords(node: cst.Call) -> dict[str, cst.BaseExpression]:
    for argument in node.args:
        if argument.star:
            raise Undecided(f"`{argument.star}` hides its arguments")
        if argument.keyword is None:
            raise Undecided("its arguments have no names")
    return {argument.keyword.value: argument.value for argument in node.args if argument.keyword}


def _is_vendors_own(node: cst.BaseExpression, names: Names, package: Package) -> bool:
    """A literal that says what the client does anyway."""
    return isinstance(node, cst.SimpleString) and vendor_of_address(names.text(node)) == package.vendor


def address(names: Names, suffix: str = "") -> str:
    q = quote(names)
    read = f"os.environ.get({q}RHETOR_URL{q}, {q}{DEFAULT_URL}{q})"
    return f"{read} + {q}{suffix}{q}" if suffix else read


def token(names: Names) -> str:
    """A token where there is one; the vendors' clients insist on some text."""
    q = quote(names)
    return f"os.environ.get({q}RHETOR_AUTH_TOKEN{q}) or {q}none{q}"


def with_arguments(names: Names, node: cst.Call, wanted: Mapping[str, str]) -> tuple[Edit, ...]:
    """The call with these arguments: replaced where they are, else before all others."""
    if names.line(node) == names.source.line_of(names.end(node)):
        return (_on_one_line(names, node, wanted),)
    there = {argument.keyword.value: argument.value for argument in node.args if argument.keyword}
    edits = [
        Edit(names.start(there[name]), names.end(there[name]), _fitting(there[name], text))
        for name, text in wanted.items()
        if name in there
    ]
    new = [f"{name}={text}" for name, text in wanted.items() if name not in there]
    return (*edits, *([_inserted(names, node, new)] if new else []))


def _fitting(replaced: cst.BaseExpression, text: str) -> str:
    """In parentheses where those of what it replaces might not be there to hold it."""
    return f"({text})" if getattr(replaced, "lpar", ()) else text


def _on_one_line(names: Names, node: cst.Call, wanted: Mapping[str, str]) -> Edit:
    """All arguments anew: on one line if they fit there, else each on its own."""
    source = names.source
    kept = [
        names.code(argument)
        for argument in node.args
        if argument.keyword is None or argument.keyword.value not in wanted
    ]
    arguments = [*(f"{name}={text}" for name, text in wanted.items()), *kept]
    start = source.text.index("(", names.end(node.func)) + 1
    end = source.text.index(")", names.end(node.args[-1]) if node.args else start)
    line = source.line_text(source.line_of(start))
    text = ", ".join(arguments)
    if len(line) - (end - start) + len(text) <= LONGEST_LINE:
        return Edit(start, end, text)
    indent = line[: len(line) - len(line.lstrip())]
    step = "\t" if indent.startswith("\t") else "    "
    joint = f"{source.newline}{indent}{step}"
    return Edit(start, end, f"{joint}{f',{joint}'.join(arguments)},{source.newline}{indent}")


def _inserted(names: Names, node: cst.Call, new: list[str]) -> Edit:
    """New arguments in a call of several lines."""
    text = names.source.text
    if not node.args:
        at = text.index("(", names.end(node.func)) + 1
        return Edit(at, at, ", ".join(new))
    at = names.start(node.args[0])
    line = names.source.line_start(at)
    if text[line:at].strip():
        return Edit(at, at, "".join(f"{argument}, " for argument in new))
    joint = f",{names.source.newline}{text[line:at]}"  # each argument has a line of its own
    return Edit(at, at, "".join(f"{argument}{joint}" for argument in new))
