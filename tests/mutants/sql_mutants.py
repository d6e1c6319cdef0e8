"""Bugs in SQL, by operators of our own; each yields (first character, last character, other text, name)."""

import re
from collections.abc import Callable, Iterator, Mapping

from tests.mutants.areas import MIGRATIONS, POLICIES, area_of
from tests.mutants.mutant import Mutant
from tests.mutants.sql_grants import grants
from tests.mutants.sql_tokens import Statement, statements

Change = tuple[int, int, str, str]
COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "="}
FUNCTIONS = {
    "MIN": "max",
    "MAX": "min",
    "LEAST": "greatest",
    "GREATEST": "least",
    "BOOL_OR": "bool_and",
    "BOOL_AND": "bool_or",
    "PG_ADVISORY_XACT_LOCK": "pg_advisory_xact_lock_shared",
    "PG_ADVISORY_XACT_LOCK_SHARED": "pg_advisory_xact_lock",
}
WORDS = {"ASC": "DESC", "DESC": "ASC", "TRUE": "FALSE", "FALSE": "TRUE"}
UNITS = {"second": "minute", "minute": "hour", "hour": "minute", "day": "hour"}
ORDER_KEEPS = frozenset({",", "ASC", "DESC", "USING"})
# No behaviour but speed hangs on them.
SPEED = ("CREATE INDEX",)
POLICY_STARTS = ("GRANT", "REVOKE", "CREATE POLICY", "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", "CREATE VIEW")
ROW_LEVEL = re.compile(r"ROW LEVEL|OWNER TO|DROP POLICY|DROP FUNCTION|DROP VIEW|CREATE OR REPLACE VIEW")


def sql_mutants(file: str, text: str) -> Iterator[Mutant]:
    """Yield every mutant of a query or a migration."""
    for statement in statements(text):
        if statement.begins(*SPEED):
            continue
        area = _area(file, statement)
        body = text[statement.tokens[0].start : statement.tokens[-1].end]
        for start, end, other, name in _changes(statement):
            after = text[:start] + other + text[end:]
            first = text.count("\n", 0, start) + 1
            last = first + text.count("\n", start, end)
            yield Mutant(file, area, name, first, last, text, lambda after=after: after, body)  # type: ignore[misc]


def _area(file: str, statement: Statement) -> str:
    if not file.startswith("sql/migrations/"):
        return area_of(file)
    is_policy = statement.begins(*POLICY_STARTS) or ROW_LEVEL.search(" ".join(statement.words))
    return POLICIES if is_policy else MIGRATIONS


def _changes(statement: Statement) -> Iterator[Change]:
    yield from grants(statement)
    for place, token in enumerate(statement.tokens):
        if token.kind == "sign":
            yield from _sign(statement, place)
        elif token.kind == "number":
            yield from _number(statement, place)
        elif token.kind == "word":
            yield from _word(statement, place)


def _sign(statement: Statement, place: int) -> Iterator[Change]:
    token = statement.tokens[place]
    if token.text in COMPARISONS and not _is_assignment(statement, place):
        yield token.start, token.end, COMPARISONS[token.text], "comparison"
        # Beside a constant the two differ only for a null, which such a column seldom has.
        if token.text == "<>" and statement.tokens[place + 1].kind != "text":
            yield token.start, token.end, "IS DISTINCT FROM", "null"
    elif token.text == "/" and statement.tokens[place + 1].kind == "number":
        yield token.start, statement.tokens[place + 1].end, "", "unit"


def _is_assignment(statement: Statement, place: int) -> bool:
    """Whether = gives a value: in SET a = b, also of a function's setting, and in WITH (a = b)."""
    if statement.tokens[place].text != "=":
        return False
    opening = next(
        (at for at in range(place, -1, -1) if statement.tokens[at].bracket < statement.tokens[place].bracket), 0
    )
    if statement.words[opening - 1 : opening] == ("WITH",) or statement.words[place - 2 : place - 1] == ("SET",):
        return True
    return statement.clause_of(place) == "SET" and statement.words[place - 2] == ","


def _number(statement: Statement, place: int) -> Iterator[Change]:
    token = statement.tokens[place]
    if "." not in token.text and "WITH" not in statement.words[max(0, place - 8) : place]:
        yield token.start, token.end, str(int(token.text) + 1), "number"
        if int(token.text) > 0:
            yield token.start, token.end, str(int(token.text) - 1), "number"


def _word(statement: Statement, place: int) -> Iterator[Change]:
    token, following = statement.tokens[place], statement.words[place + 1 : place + 2]
    if token.word in FUNCTIONS and following == ("(",):
        yield token.start, token.end, FUNCTIONS[token.word], "lock" if "LOCK" in token.word else "order"
    elif token.word in WORDS:
        yield token.start, token.end, WORDS[token.word], "order" if token.word in ("ASC", "DESC") else "boolean"
    elif operator := BY_WORD.get(token.word):
        yield from operator(statement, place)


def _order(statement: Statement, place: int) -> Iterator[Change]:
    last = statement.tokens[statement.end_of(place + 1, ORDER_KEEPS)]
    yield statement.tokens[place].start, last.end, "", "order"


def _check(statement: Statement, place: int) -> Iterator[Change]:
    if statement.words[place - 1] != "WITH":
        closing = next(at for at in statement.siblings(place + 1, 1) if statement.words[at] == ")")
        yield statement.tokens[place + 1].start, statement.tokens[closing].end, "(TRUE)", "predicate"


def _not(statement: Statement, place: int) -> Iterator[Change]:
    tokens, before, behind = statement.tokens, statement.words[place - 1], statement.words[place + 1]
    if behind == "NULL" and before != "IS" and statement.begins("CREATE TABLE", "ALTER TABLE"):
        yield tokens[place].start, tokens[place + 1].end, "", "null"
    elif before not in ("IS", "IF") and behind not in ("NULL", "EXISTS"):
        yield tokens[place].start, tokens[place + 1].start, "", "not"


def _predicate(statement: Statement, place: int) -> Iterator[Change]:
    """Drop the part behind AND, OR or WHERE, or the first of several."""
    token, tokens = statement.tokens[place], statement.tokens
    if token.word == "AND":
        before = next(
            (statement.words[at] for at in statement.siblings(place, -1) if statement.words[at] in ("BETWEEN", "AND")),
            "",
        )
        if before == "BETWEEN":
            return
    last = statement.end_of(place)
    if token.word == "WHERE":
        behind = statement.words[last + 1 : last + 2]
        is_alone = behind not in (("AND",), ("OR",))
        if is_alone:
            yield tokens[place + 1].start, tokens[last].end, "TRUE", "predicate"
        else:
            yield tokens[place + 1].start, tokens[last + 2].start, "", "predicate"
    else:
        yield token.start, tokens[last].end, "", "predicate"


def _null(statement: Statement, place: int) -> Iterator[Change]:
    tokens = statement.tokens
    following = statement.words[place + 1 : place + 4]
    if following[:2] == ("DISTINCT", "FROM"):
        yield tokens[place].start, tokens[place + 2].end, "<>", "null"
    elif following[:1] == ("NULL",):
        yield tokens[place].start, tokens[place + 1].end, "IS NOT NULL", "null"
    elif following[:2] == ("NOT", "NULL"):
        yield tokens[place].start, tokens[place + 2].end, "IS NULL", "null"


def _coalesce(statement: Statement, place: int) -> Iterator[Change]:
    tokens = statement.tokens
    closing = next(at for at in statement.siblings(place + 1, 1) if tokens[at].text == ")")
    inner = tokens[place + 2].bracket
    comma = next(
        (at for at in range(place + 2, closing) if tokens[at].text == "," and tokens[at].bracket == inner), None
    )
    if comma is not None:
        first = statement.text[tokens[place + 2].start : tokens[comma - 1].end]
        yield tokens[place].start, tokens[closing].end, f"({first})", "null"


def _union(statement: Statement, place: int) -> Iterator[Change]:
    tokens = statement.tokens
    keeps = frozenset(statement.words) - {"UNION", "ORDER", "LIMIT"} | {","}
    last = statement.end_of(place, keeps)
    yield tokens[place].start, tokens[last].end, "", "union"
    if statement.words[place + 1] != "ALL":
        yield tokens[place].start, tokens[place].end, "UNION ALL", "union"


def _lock_or_time(statement: Statement, place: int) -> Iterator[Change]:
    token, tokens = statement.tokens[place], statement.tokens
    following = (*statement.words[place + 1 : place + 4], "", "")
    if token.word == "FOR" and following[0] == "UPDATE":
        yield tokens[place + 1].start, tokens[place + 1].end, "SHARE", "lock"
        last = place + 1
        while last + 1 < len(tokens) and (
            statement.words[last + 1] in ("OF", "SKIP", "LOCKED") or statement.words[last] == "OF"
        ):
            last += 1
        yield token.start, tokens[last].end, "", "lock"
    elif token.word == "SKIP" and following[0] == "LOCKED":
        yield token.start, tokens[place + 1].end, "", "skip locked"
    elif token.word == "AT" and following[:2] == ("TIME", "ZONE"):
        yield token.start, tokens[place + 3].end, "", "time zone"
    elif token.word == "INTERVAL" and tokens[place + 1].kind == "text":
        text = tokens[place + 1].text
        for unit, other in UNITS.items():
            if unit in text:
                yield tokens[place + 1].start, tokens[place + 1].end, text.replace(unit, other), "unit"


BY_WORD: Mapping[str, Callable[[Statement, int], Iterator[Change]]] = {
    "AND": _predicate,
    "OR": _predicate,
    "WHERE": _predicate,
    "ORDER": _order,
    "IS": _null,
    "COALESCE": _coalesce,
    "UNION": _union,
    "CHECK": _check,
    "NOT": _not,
    "FOR": _lock_or_time,
    "SKIP": _lock_or_time,
    "AT": _lock_or_time,
    "INTERVAL": _lock_or_time,
}
