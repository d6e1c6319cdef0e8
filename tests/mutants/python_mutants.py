"""Bugs in Python: mutmut's operators, as far as they make bugs that somebody could write, and a few of our own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

from tests.mutants.areas import area_of
from tests.mutants.mutant import Mutant

Operator = tuple[str, type, Callable[[Any], Iterable[cst.CSTNode]]]
LOGGERS = ("log", "logger", "logging")
# Switches that say how a class is built or how a help text reads.
IGNORED_KEYWORDS = {"frozen", "slots", "kw_only", "gc", "help", "metavar", "daemon", "name", "show_default"}
UNITS = {"days": "hours", "hours": "minutes", "minutes": "seconds", "seconds": "minutes", "milliseconds": "seconds"}
SKIPPED = (
    m.Annotation()
    | m.Import()
    | m.ImportFrom()
    | m.Assert()
    | m.Decorator(decorator=m.Call(func=m.Name("dataclass")))
    | m.Call(func=m.Attribute(value=m.OneOf(*(m.Name(name) for name in LOGGERS))))
    | m.Call(func=m.Name("TypeVar") | m.Attribute(attr=m.Name("add_argument") | m.Name("ArgumentParser")))
    | m.If(test=m.Name("TYPE_CHECKING") | m.Comparison(left=m.Name("__name__")))
    | m.Assign(targets=[m.AssignTarget(m.Name("__all__"))])
    | m.Arg(keyword=m.MatchIfTrue(lambda name: name is not None and name.value in IGNORED_KEYWORDS))
)


def swap(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """Swap an operator, but neither the | between two types nor the / of a path."""
    if m.matches(node, m.BinaryOperation(operator=m.Divide(), right=m.SimpleString() | m.FormattedString())):
        return ()
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
        names = [side.value for side in (node.left, node.right) if isinstance(side, cst.Name)]
        if any(name[0].isupper() or name in ("int", "str", "bytes", "float", "bool") for name in names):
            return ()
    return mutators.operator_swap_op(node)


def smaller(node: cst.Integer) -> Iterable[cst.CSTNode]:
    if node.evaluated_value > 0:
        yield node.with_changes(value=str(node.evaluated_value - 1))


def tenfold(node: cst.Float) -> Iterable[cst.CSTNode]:
    yield node.with_changes(value=repr(node.evaluated_value * 10))


def unit(node: cst.Arg) -> Iterable[cst.CSTNode]:
    if node.keyword and (other := UNITS.get(node.keyword.value)):
        yield node.with_changes(keyword=cst.Name(other))


def dropped_argument(node: cst.Call) -> Iterable[cst.CSTNode]:
    for place, argument in enumerate(node.args):
        if argument.keyword and argument.keyword.value not in IGNORED_KEYWORDS:
            yield node.with_changes(args=[*node.args[:place], *node.args[place + 1 :]])


def dropped_statement(node: cst.SimpleStatementLine) -> Iterable[cst.CSTNode]:
    call = m.Call() | m.Await(m.Call())
    logging = m.Call(func=m.Attribute(value=m.OneOf(*(m.Name(name) for name in LOGGERS))))
    if m.matches(node, m.SimpleStatementLine(body=[m.Expr(call)])) and not m.matches(node.body[0], m.Expr(logging)):
        yield node.with_changes(body=[cst.Pass()])


def uncaught(node: cst.ExceptHandler) -> Iterable[cst.CSTNode]:
    if node.type is not None:
        yield node.with_changes(
            type=cst.Tuple([], lpar=[cst.LeftParen()], rpar=[cst.RightParen()]),
            whitespace_after_except=cst.SimpleWhitespace(" "),
        )


def no_iteration(node: cst.For) -> Iterable[cst.CSTNode]:
    if node.asynchronous is None:
        yield node.with_changes(iter=cst.Tuple([], lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))


def negated(node: cst.If | cst.While) -> Iterable[cst.CSTNode]:
    if not m.matches(node.test, m.Name("True") | m.UnaryOperation(m.Not())):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(
            test=cst.UnaryOperation(cst.Not(), test),
            **{f"whitespace_{'before_test' if isinstance(node, cst.If) else 'after_while'}": cst.SimpleWhitespace(" ")},
        )


OPERATORS: Sequence[Operator] = (
    ("number", cst.BaseNumber, mutators.operator_number),
    ("number", cst.Integer, smaller),
    ("number", cst.Float, tenfold),
    ("boolean", cst.Name, mutators.operator_name),
    ("not", cst.UnaryOperation, mutators.operator_remove_unary_ops),
    ("not", cst.If, negated),
    ("not", cst.While, negated),
    ("keyword", cst.CSTNode, mutators.operator_keywords),
    ("operator", cst.CSTNode, swap),
    ("branch", cst.IfExp, mutators.operator_if_exp),
    ("case", cst.Match, mutators.operator_match),
    ("string method", cst.Call, mutators.operator_symmetric_string_methods_swap),
    ("string method", cst.Call, mutators.operator_unsymmetrical_string_methods_swap),
    ("assignment", cst.AugAssign, mutators.operator_augmented_assignment),
    ("unit", cst.Arg, unit),
    ("argument", cst.Call, dropped_argument),
    ("statement", cst.SimpleStatementLine, dropped_statement),
    ("exception", cst.ExceptHandler, uncaught),
    ("iteration", cst.For, no_iteration),
)


class _Places(cst.CSTVisitor):
    """Collect what each operator can do in a module."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, cst.CSTNode, cst.CSTNode, int, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, SKIPPED):
            return False
        for name, kind, operator in OPERATORS:
            if isinstance(node, kind):
                for other in operator(node):
                    place = self.get_metadata(PositionProvider, node)
                    self.found.append((name, node, other, *_lines(node, place.start.line, place.end.line)))
        return True


def _lines(node: cst.CSTNode, first: int, last: int) -> tuple[int, int]:
    """Return the lines that decide: of a compound statement its head."""
    return (first, first) if isinstance(node, cst.If | cst.While | cst.For | cst.ExceptHandler) else (first, last)


def python_mutants(file: str, text: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    wrapper = MetadataWrapper(cst.parse_module(text))
    places = _Places()
    wrapper.visit(places)
    for name, node, other, first, last in places.found:
        yield Mutant(file, area_of(file), name, first, last, text, _rendering(wrapper.module, node, other))


def _rendering(module: cst.Module, node: cst.CSTNode, other: cst.CSTNode) -> Callable[[], str]:
    def render() -> str:
        changed = module.deep_replace(node, other)
        assert isinstance(changed, cst.Module)
        return changed.code

    return render
