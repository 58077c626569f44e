"""What are the names of a Python file bound to? Written down in one walk, before anything is made of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import libcst as cst


@dataclass(frozen=True, slots=True)
class Bound:
    """What was said of a name: a value it got, or what it is annotated with."""

    expression: cst.BaseExpression
    is_annotation: bool = False


class Book(cst.CSTVisitor):
    """Writes down everything that names are bound to."""

    def __init__(self, local: Callable[[cst.BaseExpression], str | None]) -> None:
        """`local` gives the full names of what the file defines."""
        super().__init__()
        self.bound: dict[str, list[Bound]] = {}
        self.owners: dict[str, str] = {}
        self.imports: set[str] = set()
        self.attributes: set[str] = set()
        self.passed_on: dict[str, str] = {}
        self.classes: dict[str, cst.ClassDef] = {}
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self.comments: list[cst.Comment] = []
        self._local = local
        self._inside: list[str] = []
        self._in_class: list[bool] = []
        self._above: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if self._above:
            self.parents[node] = self._above[-1]
        self._above.append(node)
        return super().on_visit(node)

    def on_leave(self, original_node: cst.CSTNode) -> None:
        super().on_leave(original_node)
        self._above.pop()

    def visit_Comment(self, node: cst.Comment) -> None:
        self.comments.append(node)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        name = ".".join([*self._inside, node.name.value])
        self.classes[name] = node
        self._inside.append(node.name.value)
        self._in_class.append(True)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:
        self._inside.pop()
        self._in_class.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        name = ".".join([*self._inside, node.name.value])
        is_method = bool(self._in_class and self._in_class[-1])
        parameters = [*node.params.posonly_params, *node.params.params, *node.params.kwonly_params]
        decorators = {dotted(d.decorator).rpartition(".")[2] for d in node.decorators}
        if is_method and parameters and "staticmethod" not in decorators:
            self.owners[f"{name}.<locals>.{parameters[0].name.value}"] = ".".join(self._inside)
        for parameter in parameters:
            key = f"{name}.<locals>.{parameter.name.value}"
            if parameter.annotation is not None:
                self._bind(key, parameter.annotation.annotation, is_annotation=True)
            if parameter.default is not None:
                self._bind(key, parameter.default)
        result = name if decorators & {"property", "cached_property"} else f"{name}()"
        self.bound.setdefault(result, [])
        if node.returns is not None:
            self._bind(result, node.returns.annotation, is_annotation=True)
        self._inside += [node.name.value, "<locals>"]
        self._in_class.append(False)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        del self._inside[-2:]
        self._in_class.pop()

    def visit_Return(self, node: cst.Return) -> None:
        self._gives(node.value)

    def visit_Yield(self, node: cst.Yield) -> None:
        if isinstance(node.value, cst.BaseExpression):
            self._gives(node.value)

    def _gives(self, value: cst.BaseExpression | None) -> None:
        """A value that the function around gives to whoever calls it: values tell more than annotations."""
        if value is None or len(self._inside) < 2:
            return
        name = ".".join(self._inside[:-1])
        key = name if name in self.bound else f"{name}()"
        self.bound.setdefault(key, []).insert(0, Bound(value))

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            self._assign(target.target, node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)
        self._assign(node.target, node.annotation.annotation, is_annotation=True)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._assign(node.target, node.value)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        if node.asname is not None:
            self._assign(node.asname.name, node.item)

    def _assign(
        self, target: cst.BaseExpression, value: cst.BaseExpression, is_annotation: bool = False
    ) -> None:
        for key in self._keys(target):
            self._bind(key, value, is_annotation)

    def _keys(self, target: cst.BaseExpression) -> Iterable[str]:
        if isinstance(target, cst.Name):
            if (name := self._local(target)) is not None:
                yield name
        elif isinstance(target, cst.Attribute):
            owner = None
            if isinstance(target.value, cst.Name):
                owner = self.owners.get(self._local(target.value) or "")
            yield f"{owner or '*'}.{target.attr.value}"

    def _bind(self, key: str, value: cst.BaseExpression, is_annotation: bool = False) -> None:
        self.bound.setdefault(key, []).append(Bound(value, is_annotation))

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if not isinstance(node.value, cst.Name) or not self._is_own(node.value):
            self.attributes.add(node.attr.value)

    def _is_own(self, name: cst.Name) -> bool:
        """Whether it is `self` of a class that inherits nothing."""
        owner = self.classes.get(self.owners.get(self._local(name) or "", ""))
        return owner is not None and not owner.bases

    def visit_Import(self, node: cst.Import) -> None:
        self.imports |= {dotted(alias.name) for alias in node.names}

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        module = "." * len(node.relative) + dotted(node.module)
        self.imports.add(module)
        for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
            full = f"{module}{'' if module.endswith('.') else '.'}{dotted(alias.name)}"
            self.imports.add(full)
            self.passed_on[alias.evaluated_alias or alias.evaluated_name] = full


def literal(node: cst.SimpleString) -> str | None:
    """The text of a string literal; None for bytes, and for what Python itself would refuse."""
    try:
        with warnings.catch_warnings():  # Python has something to say about "\\d"; that is not our business
            warnings.simplefilter("ignore")
            value = node.evaluated_value
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None


def dotted(node: cst.BaseExpression | None) -> str:
    """`a.b.c` for names joined by dots, else nothing."""
    match node:
        case cst.Name():
            return node.value
        case cst.Attribute():
            before = dotted(node.value)
            return f"{before}.{node.attr.value}" if before else ""
    return ""
