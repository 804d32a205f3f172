"""Mutants of Python: operators, conditions, constants, results, named arguments, statements.

Those of mutmut, and dropped statements. Neither it nor cosmic-ray would do: the one leaves out all
that is decorated, and so what events change; the other drops nothing; neither reads SQL. Texts for
people, annotations and decorators stay as they are.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
DROPPED = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Raise, ast.Delete)
KEPT = ("annotation", "returns", "decorator_list")
TEXTS = {"description"}


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a file, each once."""
    source = path.read_bytes()
    lines = [0, *(at + 1 for at, byte in enumerate(source) if byte == ord("\n"))]
    for top in ast.parse(source).body:
        # Without a constant of its own, no module can be imported: that shows nothing.
        for node in _parts(top):
            start = lines[node.lineno - 1] + node.col_offset
            end = lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            for other in _others(node, droppable=node is not top):
                mutant = Mutant(path, start, end, other.encode())
                if mutant.apply(source) != source:
                    yield mutant


def _parts(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """What can be changed of a node: all but its texts, annotations and decorators."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.JoinedStr) or getattr(node, "arg", "") in TEXTS:
        return
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for name, value in ast.iter_fields(node):
        if name not in KEPT:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _parts(child)


def _others(node: ast.expr | ast.stmt, droppable: bool) -> Iterator[str]:
    """What could be in place of a node."""
    match node:
        case ast.stmt() if droppable:
            yield from _statements(node)
        case ast.Constant(value):
            yield from _constants(value)
        case ast.Call(function, arguments, keywords):
            for keyword in keywords if len(arguments) + len(keywords) > 1 else ():
                if keyword.arg not in TEXTS:
                    yield ast.unparse(ast.Call(function, arguments, _without(keyword, keywords)))
        case ast.expr():
            yield from _operators(node)


def _statements(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, DROPPED) and getattr(node, "value", node) is not None:
        yield "pass"
    if isinstance(node, ast.Return) and node.value is not None:
        yield "return None"
    if isinstance(node, ast.Match):
        for case in node.cases:
            rest = ast.unparse(ast.Match(node.subject, _without(case, node.cases)))
            yield rest.replace("\n", "\n" + " " * node.col_offset)


def _operators(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(left, [operator], [right]):
            yield ast.unparse(ast.Compare(left, [SWAPPED[type(operator)]()], [right]))
        case ast.BoolOp(operator, values):
            yield f"({ast.unparse(ast.BoolOp(SWAPPED[type(operator)](), values))})"
            for value in values:
                rest = _without(value, values)
                yield f"({ast.unparse(ast.BoolOp(operator, rest) if rest[1:] else rest[0])})"
        case ast.UnaryOp(ast.Not(), operand):
            yield f"({ast.unparse(operand)})"
        case ast.BinOp(left, operator, right) if type(operator) in SWAPPED:
            yield f"({ast.unparse(ast.BinOp(left, SWAPPED[type(operator)](), right))})"
        case ast.IfExp(_, body, orelse):
            yield from (f"({ast.unparse(body)})", f"({ast.unparse(orelse)})")


def _constants(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield str(not value)
        case int():
            yield str(value + 1)
        case str() if len(value.split()) <= 2:  # more is a text for people, or a query
            yield ast.unparse(ast.Constant(value + "X"))


def _without(one: object, all_: list[Any]) -> list[Any]:
    return [other for other in all_ if other is not one]
