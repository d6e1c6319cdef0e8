"""Who has sent nothing for too long, and whose signatures fit no secret."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from consumer.verdict.durations import duration
from consumer.verdict.finding import Finding, Gravity
from consumer.verdict.observation import Observation

# If a third of them had been expected, none would come once in a thousand times (Poisson).
QUIET_DELIVERIES_MIN = 20
# The count of an hour says nothing of its minutes: a sender that is restarted is not quiet.
QUIET_TIME_MIN = timedelta(minutes=5)
# Signatures of no known secret in a quarter of an hour: a stranger who tries some is no finding. Nothing else tells a
# stranger from a fault, least of all how long it has gone on.
UNMATCHED_MIN = 10

SILENCE_CURES = {
    "stack": "Look in Stack's dashboard, under Webhooks: is the endpoint enabled, and its URL this receiver's? "
    "docs/recovery/lost-week.md brings in what was missed.",
    "app": "Does your backend still post to /webhooks/app, and what is it answered?",
}
# Of a source that another release takes deliveries of.
OTHER_CURE = "Does its sender still post, and what is it answered?"
REFUSED_CURE = (
    "Compare the endpoint's secret in Stack's dashboard with STACK_WEBHOOK_SECRETS, and your backend's with "
    "APP_WEBHOOK_SECRETS; then restart the receivers. If they are the same, a proxy changes bodies."
)


def sender_findings(observation: Observation) -> Iterator[Finding]:
    """Yield each source that is silent, and signatures that fit no secret."""
    for source in sorted(observation.expected):
        received_at = observation.last_received.get(source)
        if received_at is None:
            yield _nothing_received(observation, source)
        elif observation.silence_max is not None:
            yield from _silence(observation, source, received_at, observation.silence_max)
    yield from _unmatched(observation)


def _nothing_received(observation: Observation, source: str) -> Finding:
    # Your own backend need not send anything.
    waited, silence_max = observation.at - (observation.installed_at or observation.at), observation.silence_max
    is_late = source == "stack" and silence_max is not None and waited > silence_max
    cure = SILENCE_CURES.get(source, OTHER_CURE) if is_late else None
    gravity: Gravity = "warning" if is_late else "note"
    return Finding("nothing_received", gravity, source, "nothing received yet", cure, _page(source))


def _silence(observation: Observation, source: str, received_at: datetime, silence_max: timedelta) -> Iterator[Finding]:
    """Yield a silence in which even the quietest of four weeks brought many deliveries; else, one that is too long.

    Too long is what exceeds SILENCE_HOURS, and each silence of these weeks: nights and weekends of a source are none.
    """
    silence, history = observation.at - received_at, observation.histories.get(source)
    last = f"since {received_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    if history and history.quietest >= QUIET_DELIVERIES_MIN:
        if silence >= QUIET_TIME_MIN:
            lasted = duration(silence.total_seconds())
            brought = f"the quietest of four weeks brought {history.quietest:,.0f}"
            cure = f"{SILENCE_CURES.get(source, OTHER_CURE)} If it may be silent, mute it by SILENCE_HOURS=0."
            sentence = f"nothing received for {lasted}, {last}; {brought}"
            yield Finding("quiet", "warning", source, sentence, cure, _page(source), history.quietest)
    elif silence > max(silence_max, history.longest_silence if history else timedelta(0)):
        sentence = f"nothing received for {silence // timedelta(hours=1):,} h, {last}"
        cure = f"{SILENCE_CURES.get(source, OTHER_CURE)} If it may be silent for so long, raise SILENCE_HOURS."
        yield Finding("source_silent", "warning", source, sentence, cure, _page(source))


def _unmatched(observation: Observation) -> Iterator[Finding]:
    """Yield that signatures fit no secret.

    It fails until a delivery is accepted, because nothing else tells that the secret is right.
    """
    seen = observation.signatures
    gravity: Gravity
    if seen.since_accepted >= UNMATCHED_MIN:
        gravity, count, beside = "failing", seen.since_accepted, "no delivery has been accepted since"
    elif seen.unmatched >= UNMATCHED_MIN:
        gravity, count, beside = "warning", seen.unmatched, f"deliveries accepted in the last hour: {seen.accepted:,}"
    else:
        return
    sentence = f"{count:,} signatures in 15 min fit no secret; {beside}"
    yield Finding("refused", gravity, "signatures", sentence, REFUSED_CURE, "/system", count)


def _page(source: str) -> str:
    return f"/deliveries?source={source}"
