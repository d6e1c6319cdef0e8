"""Asks Stack about suspects, one by one: is this user, this team, this member still there?"""

from collections.abc import Sequence
from typing import NamedTuple

from consumer.operations import scan
from consumer.operations.imports import Finder
from consumer.operations.runs import Run
from consumer.operations.suspects import Suspect
from consumer.outbox.storage import Delivery
from consumer.stack_api.client import StackApi

REVIVED = ("revived_user", "revived_team")


class Answers(NamedTuple):
    """The suspects that answers lack, those that a reconciliation deleted wrongly, and the others, which are none.

    *deliveries* show users and teams alive, as no list does.
    """

    missing: Sequence[Suspect] = ()
    revived: Sequence[Suspect] = ()
    cleared: Sequence[Suspect] = ()
    deliveries: Sequence[Delivery] = ()


async def ask(api: StackApi, run: Run, suspects: Sequence[Suspect]) -> Answers:
    """Ask what tells of these suspects; call it outside any transaction. Raises ApiError.

    Only 404 with Stack's own code counts as absence: a proxy's page with that status is an error.
    """
    about: dict[object, list[Suspect]] = {}
    for suspect in suspects:
        about.setdefault(suspect.question, []).append(suspect)
    answers = await scan.at_once([_ask(api, run, each) for each in about.values()])
    return Answers(
        missing=[suspect for answer in answers for suspect in answer.missing],
        revived=[suspect for answer in answers for suspect in answer.revived],
        cleared=[suspect for answer in answers for suspect in answer.cleared],
        deliveries=[delivery for answer in answers for delivery in answer.deliveries],
    )


async def _ask(api: StackApi, run: Run, about: Sequence[Suspect]) -> Answers:
    """Ask one question; *about* are the suspects of which its answer tells."""
    first = about[0]
    if first.user_id is None:
        assert first.team_id is not None, "a suspect has a subject"
        return _alone(run, about, await api.team(first.team_id))
    if first.team_id is None:
        return _alone(run, about, await api.user(first.user_id))
    answer = await scan.of_team(api, first.team_id)
    if answer is None:
        # The whole team has gone, which the next run will find if no event tells it.
        return Answers(cleared=about)
    members = {(member.team_id, member.user_id, None) for member in answer.members}
    listed = members | {(each.team_id, each.user_id, each.id) for each in answer.permissions}
    keys = {suspect: (suspect.team_id, suspect.user_id, suspect.permission_id) for suspect in about}
    missing = [suspect for suspect in about if keys[suspect] not in listed]
    return Answers(missing, cleared=[suspect for suspect in about if keys[suspect] in listed])


def _alone(run: Run, about: Sequence[Suspect], body: bytes | None) -> Answers:
    """Judge a user or team, of which the answer tells alone."""
    revived = [suspect for suspect in about if suspect.kind in REVIVED]
    others = [suspect for suspect in about if suspect.kind not in REVIVED]
    if body is None:
        return Answers(missing=others, cleared=revived)
    finder, first = Finder(run.id, about[0].requested_at, "reconcile"), about[0]
    if first.user_id is None:
        shown = finder.team(str(first.team_id), body, "team")
    else:
        shown = finder.user(str(first.user_id), body, "user")
    return Answers(revived=revived, cleared=others, deliveries=[shown])
