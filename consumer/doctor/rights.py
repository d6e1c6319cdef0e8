"""Checks of owners and grants against sql/privileges.sql, each with the statements to paste."""

import re
from collections.abc import Sequence
from dataclasses import replace

from consumer.doctor.check import Check, fail_unless, ok, warn_unless
from consumer.postgres.privileges import Differences


def cure(statements: Sequence[str]) -> str | None:
    """Return the cure that consists of statements; None without any."""
    return f"Run `consumer migrate`, or as the owner: {' '.join(statements)}" if statements else None


def judge_rights(differences: Differences) -> list[Check]:
    """Judge what differs from this release, and list what others were granted."""
    more = differences.further
    return [
        # A definer's function that runs as another role finds no row, or finds every row.
        _judge_owners(differences),
        _judge(
            differences.matching(r"ALTER FUNCTION .* (SECURITY|LEAKPROOF|SET|RESET)\b|ALTER TABLE \S+ (RE)?SET "),
            "functions and views",
            "run as this release made them",
        ),
        _judge_grants(differences),
        warn_unless(
            not differences.absent,
            "objects",
            f"missing: {', '.join(sorted(differences.absent))}" if differences.absent else "none is missing",
            "Undo the RENAME or DROP: sql/schema.sql shows each as `migrate` made it.",
        ),
        warn_unless(
            not more,
            "further rights of our roles",
            " ".join(right.statement for right in more) or "none",
            f"Unless you gave them on purpose: {' '.join(right.undo for right in more if right.undo)}",
        ),
        ok(
            "rights of others",
            " ".join(right.statement for right in differences.left if right not in more) or "none",
        ),
    ]


def _judge_owners(differences: Differences) -> Check:
    check = _judge(differences.matching("ALTER .* OWNER TO "), "owners", "each object belongs to its role")
    return replace(check, cure=cure(differences.owners)) if check.cure else check


def _judge_grants(differences: Differences) -> Check:
    """Fail for what a role lacks that no process has; of what a process lacks its queries tell whether it matters."""
    check = _judge(lacking := differences.matching("GRANT "), "grants to our roles", "all are given")
    is_rehearsed = all(re.search(r" ON .*_(receiver|worker|operator)\b", statement) for statement in lacking)
    return replace(check, state="warning") if lacking and is_rehearsed else check


def _judge(statements: list[str], name: str, otherwise: str) -> Check:
    objects = dict.fromkeys(_object(statement) for statement in statements)
    finding = f"wrong: {', '.join(objects)}" if statements else otherwise
    return fail_unless(not statements, name, finding, cure(statements))


def _object(statement: str) -> str:
    """Return the object, or the role, that a statement is about."""
    found = re.search(r"(?:ALTER|ON) \w+ ([\w.]+)|GRANT (\w+) TO", statement)
    assert found
    return found[1] or found[2]
