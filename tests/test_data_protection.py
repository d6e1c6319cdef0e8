"""The page for the security questionnaire names each column of our schemas once, with the roles that may read it."""

import re
from collections import Counter

from consumer.postgres.preflight import DUTIES
from tests.support.databases import rows
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "DATA_PROTECTION.md").read_text()
CLASSES = {"personal", "pseudonymous", "company", "technical", "masked"}
# They own functions and views, and no login acts as them.
READERS = sorted(set(DUTIES) - {"definer", "masker"})
ROW = re.compile(r"^\| `((?:consumer|consumer_masked|identity)\.\w+)` \| (.*?) \| (\w+) \| (.*?) \|$", re.MULTILINE)
COLUMNS = f"""
SELECT n.nspname || '.' || c.relname AS relation, a.attname AS column,
    ARRAY(
        SELECT r.name FROM unnest('{{{",".join(READERS)}}}'::text[]) AS r (name)
        WHERE has_column_privilege('consumer_' || r.name, c.oid, a.attnum, 'SELECT')
    ) AS readers
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
WHERE n.nspname IN ('consumer', 'consumer_masked', 'identity') AND c.relkind IN ('r', 'p', 'v', 'm')
    AND a.attnum > 0 AND NOT a.attisdropped
"""


def described() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return relation, column, class and readers of each column on the page."""
    return [
        (relation, column, kind, () if readers == "nobody" else tuple(readers.split(", ")))
        for relation, columns, kind, readers in ROW.findall(PAGE)
        for column in re.findall(r"`(\w+)`", columns)
    ]


def test_each_column_of_our_schemas_stands_on_the_page_once(emptied: str) -> None:
    named = Counter((relation, column) for relation, column, _, _ in described())
    stored = {(row["relation"], row["column"]) for row in rows(emptied, COLUMNS)}

    assert {"missing": stored - named.keys(), "unknown": named.keys() - stored} == {"missing": set(), "unknown": set()}
    assert set(named.values()) == {1}


def test_the_roles_that_may_read_a_column_are_those_on_the_page(emptied: str) -> None:
    allowed = {(row["relation"], row["column"]): tuple(sorted(row["readers"])) for row in rows(emptied, COLUMNS)}
    wrong = {
        f"{relation}.{column}": (readers, allowed.get((relation, column)))
        for relation, column, _, readers in described()
        if readers != allowed.get((relation, column))
    }

    assert wrong == {}


def test_each_column_has_a_class_that_the_page_explains() -> None:
    assert {kind for _, _, kind, _ in described()} == CLASSES
    assert set(re.findall(r"^- \*\*(\w+)\*\*:", PAGE, re.MULTILINE)) == CLASSES


def test_the_receiver_reads_no_personal_column() -> None:
    read = {(relation, column): kind for relation, column, kind, readers in described() if "receiver" in readers}

    assert {place for place, kind in read.items() if kind == "personal"} == set()
    assert read


def test_a_viewer_reads_nothing_personal_but_what_operators_wrote() -> None:
    read = {(relation, column): kind for relation, column, kind, readers in described() if "viewer" in readers}

    assert {relation for relation, _ in read} == {relation for relation, _ in read if "consumer_masked." in relation}
    assert {place for place, kind in read.items() if kind == "personal"} == {
        ("consumer_masked.actions", "actor"),
        ("consumer_masked.actions", "reason"),
        ("consumer_masked.exclusions", "excluded_by"),
        ("consumer_masked.exclusions", "reason"),
        ("consumer_masked.past_exclusions", "excluded_by"),
        ("consumer_masked.past_exclusions", "reason"),
        ("consumer_masked.past_exclusions", "taken_back_by"),
        ("consumer_masked.past_exclusions", "taken_back_reason"),
    }
