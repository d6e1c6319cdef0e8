"""The part of PromQL that our alerts use, evaluated over scrapes; a real parser reads the expressions.

An increase is what came between the first and the last scrape of its range: nothing is extrapolated.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import promql_parser as promql
from prometheus_client.metrics_core import Metric
from promql_parser import MatchOp

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
# By name: the samples of one scrape.
Scrape = Mapping[str, Vector]
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "==": operator.eq,
}
ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "-": operator.sub,
    "+": operator.add,
    "*": operator.mul,
    "/": operator.truediv,
}
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {"sum": sum, "max": max, "min": min, "count": len}


@dataclass(frozen=True)
class Scrapes:
    """Scrapes of the same processes with their Unix times; the last one is made now."""

    made: Sequence[tuple[float, Scrape]]

    @property
    def now(self) -> float:
        return self.made[-1][0]

    @property
    def last(self) -> Scrape:
        return self.made[-1][1]

    def first(self, seconds: float) -> Scrape:
        """Return the first scrape of this time until now."""
        return next(found for at, found in self.made if at > self.now - seconds)


def scrape(processes: Mapping[str, Iterable[Metric]]) -> Scrape:
    """Return the samples of processes by instance, each with a label that names it; their text would say the same."""
    found: dict[str, Vector] = {}
    for instance, families in processes.items():
        for sample in (sample for family in families for sample in family.samples):
            labels = frozenset({**sample.labels, "instance": instance}.items())
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def selectors(expr: promql.Expr) -> Iterator[promql.VectorSelector]:
    """Yield every selector of an expression."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(expr, visit)
    yield from found


def values(matcher: promql.Matcher) -> list[str]:
    """Return the values of a label that a matcher takes: of a regular expression only its alternatives."""
    if matcher.op == MatchOp.Equal:
        return [matcher.value]
    assert matcher.op == MatchOp.Re
    assert re.fullmatch(r"[a-z_|]+", matcher.value)
    return matcher.value.split("|")


def evaluate(expression: str, scrapes: Scrapes) -> Vector:
    """Return the result of an expression at the last scrape; an alert is pending while it is not empty."""
    result = _evaluate(promql.parse(expression), scrapes)
    assert isinstance(result, dict), "an alert's expression is a vector"
    return result


def fires(expression: str, wait_seconds: float, scrapes: Scrapes) -> bool:
    """Tell whether an alert fires at the last scrape: at each one since a time of its `for`, it has been pending."""
    pending: dict[Labels, float] = {}
    for count in range(1, len(scrapes.made) + 1):
        until = Scrapes(scrapes.made[:count])
        pending = {labels: pending.get(labels, until.now) for labels in evaluate(expression, until)}
    return any(scrapes.now - since >= wait_seconds for since in pending.values())


def _evaluate(node: promql.Expr, scrapes: Scrapes) -> Vector | float:
    match node:
        case promql.NumberLiteral():
            return float(node.val)
        case promql.ParenExpr():
            return _evaluate(node.expr, scrapes)
        case promql.VectorSelector():
            return _select(node, scrapes.last)
        case promql.Call():
            return _call(node, scrapes)
        case promql.AggregateExpr():
            return _aggregate(node, scrapes)
        case promql.BinaryExpr():
            return _combine(node, _evaluate(node.lhs, scrapes), _evaluate(node.rhs, scrapes))
    raise NotImplementedError(node)


def _select(node: promql.VectorSelector, scrape: Scrape) -> Vector:
    wanted = {(matcher.name, value) for matcher in node.matchers.matchers for value in values(matcher)}
    names = {name for name, _ in wanted}
    return {
        labels: value
        for labels, value in scrape.get(node.name or "", {}).items()
        if {name for name, _ in wanted & labels} == names
    }


def _call(node: promql.Call, scrapes: Scrapes) -> Vector | float:
    name, arguments = node.func.name, node.args
    if name == "time":
        return scrapes.now
    if name == "histogram_quantile":
        quantile, buckets = (_evaluate(argument, scrapes) for argument in arguments)
        assert isinstance(quantile, float)
        assert isinstance(buckets, dict)
        return _quantile(quantile, buckets)
    [argument] = arguments
    if isinstance(argument, promql.MatrixSelector):
        selector, seconds = argument.vector_selector, argument.range.total_seconds()
        before = _select(selector, scrapes.first(seconds))
        risen = {labels: value - before.get(labels, 0) for labels, value in _select(selector, scrapes.last).items()}
        return {labels: value / {"increase": 1.0, "rate": seconds}[name] for labels, value in risen.items()}
    vector = _evaluate(argument, scrapes)
    assert isinstance(vector, dict)
    if name == "absent":
        return {} if vector else {frozenset(): 1.0}
    assert name == "abs"
    return {labels: abs(value) for labels, value in vector.items()}


def _quantile(quantile: float, buckets: Vector) -> Vector:
    """Return the bound of the first bucket that reaches the quantile, as if all in it had the greatest value."""
    by_bound = sorted((float(dict(labels)["le"]), count) for labels, count in buckets.items())
    if not by_bound or not by_bound[-1][1]:
        return {}
    total = by_bound[-1][1]
    return {frozenset(): next(bound for bound, count in by_bound if count >= quantile * total)}


def _aggregate(node: promql.AggregateExpr, scrapes: Scrapes) -> Vector:
    vector = _evaluate(node.expr, scrapes)
    assert isinstance(vector, dict)
    kept = set(node.modifier.labels) if node.modifier else set[str]()
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(frozenset(pair for pair in labels if pair[0] in kept), []).append(value)
    return {labels: float(AGGREGATES[str(node.op)](values)) for labels, values in groups.items()}


def _combine(node: promql.BinaryExpr, left: Vector | float, right: Vector | float) -> Vector | float:
    name = str(node.op)
    if isinstance(left, float) and isinstance(right, float):
        return ARITHMETIC[name](left, right)
    if name in {"and", "unless"}:
        assert isinstance(left, dict)
        # Only `on ()`: then one series on the right keeps, or drops, all on the left.
        assert node.modifier is not None
        assert node.modifier.matching is not None
        assert node.modifier.matching.labels == []
        return left if bool(right) == (name == "and") else {}
    pairs = _pairs(left, right)
    if name in COMPARISONS:
        return {labels: one for labels, one, other in pairs if COMPARISONS[name](one, other)}
    return {labels: ARITHMETIC[name](one, other) for labels, one, other in pairs}


def _pairs(left: Vector | float, right: Vector | float) -> Iterator[tuple[Labels, float, float]]:
    if isinstance(left, dict):
        assert not isinstance(right, dict), "no alert of ours compares two vectors"
        yield from ((labels, value, right) for labels, value in left.items())
    else:
        assert isinstance(right, dict)
        yield from ((labels, left, value) for labels, value in right.items())
