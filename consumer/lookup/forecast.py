"""What a replay of one delivery would do, as a sentence; a pure function."""

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.lookup.one_delivery import OneDelivery


def replay_forecast(delivery: OneDelivery, body: bytes | None) -> str:
    """Return what a replay would do; without the *body* nobody knows whether this release can use a dead one."""
    if delivery.excluded_at:
        return "Nothing: a discarded delivery is never replayed. `consumer deliveries undiscard` lets it count again."
    if delivery.state == "pending":
        return "Nothing: it is pending, and applied without a replay."
    if delivery.state == "retrying":
        return "It would be tried at once, and not wait for its next attempt."
    if delivery.state == "dead":
        return _checked(delivery, body)
    if delivery.outcome == "ignored":
        return "It would be put back to pending, and applied if this release knows its type."
    subject, name, subject_id = ("company", "team", delivery.team_id)
    if delivery.user_id:
        subject, name, subject_id = "user", "user", delivery.user_id
    if subject_id is None:
        return "Nothing: it is about no user and no team."
    return (
        f"The rows of its {subject} would be made anew from all stored deliveries, and written where they differ. "
        f"`consumer rebuild --check --{name} {subject_id}` tells whether they do."
    )


def _checked(delivery: OneDelivery, body: bytes | None) -> str:
    if body is None:
        return "This release would check it again, and put it back to pending if it can use it."
    try:
        check(body, delivery.source)
    except BadPayload as error:
        return f"It would stay dead: this release can't use it either ({error})."
    return "It would be put back to pending: this release can use it."
