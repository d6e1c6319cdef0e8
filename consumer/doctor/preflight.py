"""Checks of the login that migrates: the same look that `migrate` takes before it changes anything."""

from collections.abc import Collection

from consumer.doctor.check import Check, State, ok
from consumer.postgres.preflight import Preflight
from consumer.postgres.refusals import MIGRATORS_LOGIN, Refusal

OTHER_LOGIN = "set MIGRATE_DATABASE_URL to the login that migrated first, or to one with these rights; or "
POOLED_CURE = (
    "Set MIGRATE_DATABASE_URL to a direct connection: each `consumer migrate` needs two of the pooler's server "
    "connections at once."
)


def judge_preflight(found: Preflight, login: str, *, judged: Collection[str]) -> list[Check]:
    """Judge what the look found; leave out each finding with the name of a check that has failed already."""
    refused = [_check("failing", refusal) for refusal in found.refusals if refusal.name not in judged]
    refused = refused or [_check("failing", lacking) for lacking in found.lacking]
    checks = refused + [_check("warning", warning) for warning in found.warnings]
    if found.is_pooled:
        checks.append(Check(MIGRATORS_LOGIN, "warning", f"{login} reaches the server through a pooler", POOLED_CURE))
    elif not refused:
        checks.append(ok(MIGRATORS_LOGIN, f"{login} can migrate (direct connection)"))
    return checks


def _check(state: State, refusal: Refusal) -> Check:
    # The right login is a safer cure than further rights for the wrong one.
    cure = f"{OTHER_LOGIN}{refusal.cure}" if refusal.name == MIGRATORS_LOGIN else refusal.cure
    return Check(refusal.name, state, refusal.finding, f"{cure[0].upper()}{cure[1:]}.")
