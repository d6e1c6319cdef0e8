"""Which notification is due: pure functions of what was told about each finding, and of the findings that are open."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import orjson

from consumer.verdict.finding import Finding
from consumer.verdict.findings import ORDER

NotificationKind = Literal["opened", "worse", "closed", "test"]
# A finding is known by its code and its subject.
FindingKey = tuple[str, str]

# The most that a flapping finding takes of anybody's attention: one notification in this time. That it
# fails does not wait if what was told last says less.
QUIET_TIME = timedelta(hours=1)
# A finding is worse if its magnitude is this many times what was told last: an order of magnitude needs another answer.
WORSE_FACTOR = 10
# Another process tells the finding if the one that began to has not succeeded by then. All attempts at an address that
# never answers end in a third of it.
CLAIM_TIME = timedelta(minutes=1)
# The chats that read `text` take 2,000 to 40,000 characters.
TEXT_CHARACTERS_MAX = 2_000
# The first is not over while the second says the same and more.
COVERED = {"dead": "dying", "source_silent": "quiet"}
# A name of a session is free text: in a chat none of these may begin a link or call everybody.
PLAIN = str.maketrans("<>@", "‹›＠")
HEADINGS: Mapping[NotificationKind, str] = {"worse": "Worse: ", "closed": "Over: ", "test": "Test: "}


@dataclass(frozen=True, slots=True)
class FindingState:
    """What was told about one finding, and which notification is under way.

    *finding* is as it was told last, or as it was when the first notification began.
    """

    finding: Finding
    opened_at: datetime
    told: NotificationKind | None = None
    told_at: datetime | None = None
    message_id: str | None = None
    sending: NotificationKind | None = None
    claimed_until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether anybody may believe that it is open."""
        return not {self.told, self.sending}.isdisjoint({"opened", "worse"})


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell about a finding; a repeat has the same *message_id*."""

    message_id: str
    kind: NotificationKind
    finding: Finding
    opened_at: datetime


FindingStates = Mapping[FindingKey, FindingState]


def key(finding: Finding) -> FindingKey:
    """Return what a finding is known by."""
    return finding.code, finding.subject


def claim(
    states: FindingStates, found: Sequence[Finding], now: datetime, new_id: UUID, fresh: Collection[FindingKey] = ()
) -> tuple[dict[FindingKey, FindingState], Notification | None]:
    """Return the notification that is due next, if any, and the states with its claim; *found*: gravest first.

    Findings that are *fresh* are not told as opened yet. *new_id* becomes its message id, unless a failed attempt has
    one. Nobody else sends it for CLAIM_TIME.
    """
    open_findings: dict[FindingKey, Finding] = {}
    for finding in found:
        if finding.gravity != "note":
            # Of several with one key, as of the sessions that hold locks, the gravest stands for all.
            open_findings.setdefault(key(finding), finding)
    kept = {each: state for each, state in states.items() if each in open_findings or not _is_over(state, now)}
    # What was refused last comes last: it must not hold up what may be taken.
    due = sorted(_due(kept, open_findings, fresh), key=lambda each: _attempted_at(kept.get(key(each[0]))))
    for finding, kind in due:
        before = kept.get(key(finding)) or FindingState(finding, opened_at=now)
        if not _may_tell(before, finding, kind, now):
            continue
        if before.sending not in {None, kind}:
            # An attempt without an answer may have arrived.
            before = replace(before, told=before.sending)
        if kind == "opened" != before.sending:
            before = replace(before, opened_at=now)
        message_id = before.message_id if before.sending == kind and before.message_id else f"msg_{new_id.hex}"
        claimed = replace(before, sending=kind, message_id=message_id, claimed_until=now + CLAIM_TIME)
        return kept | {key(finding): claimed}, Notification(message_id, kind, finding, claimed.opened_at)
    return kept, None


def settle(states: FindingStates, sent: Notification, now: datetime) -> dict[FindingKey, FindingState]:
    """Return the states after *sent* has arrived."""
    state = FindingState(sent.finding, sent.opened_at, told=sent.kind, told_at=now)
    return {**states, key(sent.finding): state}


def body(sent: Notification, at: datetime, place: str, console_url: str | None = None) -> bytes:
    """Return the JSON of a notification: Standard Webhooks' members, and a `text` for chats.

    *place* tells this installation from others.
    """
    finding = sent.finding
    url = f"{console_url}{finding.link}" if console_url and finding.link else None
    data = {
        "code": finding.code,
        "gravity": finding.gravity,
        "subject": finding.subject,
        "sentence": finding.sentence,
        "cure": finding.cure,
        "magnitude": finding.magnitude,
        "opened_at": sent.opened_at,
        "database": place,
        "url": url,
    }
    document = {
        "type": f"finding.{sent.kind}",
        "timestamp": at.astimezone(UTC),
        "text": _text(sent, place, url),
        "data": data,
    }
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


def _text(sent: Notification, place: str, url: str | None) -> str:
    finding = sent.finding
    heading = HEADINGS.get(sent.kind, "") or f"{finding.gravity.capitalize()}: "
    cure = f". {finding.cure}" if finding.cure and sent.kind != "closed" else ""
    text = f"{heading}{finding.subject}: {finding.sentence}{cure} ({place})".translate(PLAIN)[:TEXT_CHARACTERS_MAX]
    return f"{text} {url}" if url else text


def _due(
    states: FindingStates, open_findings: Mapping[FindingKey, Finding], fresh: Collection[FindingKey]
) -> Iterator[tuple[Finding, NotificationKind]]:
    """Yield what differs from what was told, the gravest first, then what is over."""
    for each, finding in open_findings.items():
        state = states.get(each)
        if state is None or not state.told or state.told == "closed":
            if each not in fresh:
                yield finding, "opened"
        elif _is_worse(finding, state.finding):
            yield finding, "worse"
        elif state.sending == "closed":
            # It is open again, but somebody may have heard that it is over.
            yield finding, "opened"
    for (code, subject), state in states.items():
        is_covered = (COVERED.get(code), subject) in open_findings
        if state.is_open and not is_covered and (code, subject) not in open_findings:
            yield state.finding, "closed"


def _is_worse(finding: Finding, told: Finding) -> bool:
    if ORDER.index(finding.gravity) < ORDER.index(told.gravity):
        return True
    if finding.magnitude is None or told.magnitude is None:
        return False
    return finding.magnitude >= WORSE_FACTOR * max(told.magnitude, 1)


def _attempted_at(state: FindingState | None) -> float:
    return state.claimed_until.timestamp() if state and state.claimed_until else 0.0


def _may_tell(state: FindingState, finding: Finding, kind: NotificationKind, now: datetime) -> bool:
    is_urgent = finding.gravity == "failing" and (state.told == "closed" or state.finding.gravity != "failing")
    is_quiet = state.told_at is not None and now - state.told_at < QUIET_TIME
    is_held = is_quiet and not (is_urgent and kind != "closed")
    return not is_held and (state.claimed_until is None or now >= state.claimed_until)


def _is_over(state: FindingState, now: datetime) -> bool:
    """Tell whether a finding that is not open any more can be forgotten."""
    return not state.is_open and (state.told_at is None or now - state.told_at >= QUIET_TIME)
