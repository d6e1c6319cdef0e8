"""The judge of a drill: what was acknowledged is stored once and met its fate, and the tables are the model's."""

from collections import Counter
from collections.abc import Iterator, Mapping

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.faults.judge import COLUMNS, DELIVERIES
from tests.faults.messages import Message
from tests.releases.newer import NAMELESS, TYPE
from tests.support import model
from tests.support.databases import rows

TABLES = ("mirror", "profiles", "companies", "members")
# Everything that a migration makes, and what `migrate` records.
CATALOGUE = """
SELECT c.oid::regclass::text AS name, c.relacl::text AS acl, c.relowner::regrole::text AS owner, a.attname AS part,
    concat_ws(' ', a.atttypid::regtype, a.attnotnull, a.attacl, pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM pg_class AS c
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace IN ('consumer'::regnamespace, 'identity'::regnamespace)
UNION ALL
SELECT p.oid::regprocedure::text, p.proacl::text, p.proowner::regrole::text, '', pg_get_functiondef(p.oid)
FROM pg_proc AS p WHERE p.pronamespace IN ('consumer'::regnamespace, 'identity'::regnamespace)
UNION ALL
SELECT p.polrelid::regclass::text, '', '', p.polname, pg_get_expr(p.polqual, p.polrelid) FROM pg_policy AS p
UNION ALL
SELECT 'ledger', '', '', migration_id, applied_at_utc::text FROM consumer._yoyo_migration
UNION ALL
SELECT 'fence', '', '', migration::text, oldest_release::text FROM consumer.fence
UNION ALL
SELECT 'settings', '', '', '', s::text FROM consumer.settings AS s
ORDER BY 1, 4, 5
"""


def flaws(url: str, sent: Mapping[str, Message], *, is_planted: bool, is_renamed: bool) -> Iterator[str]:
    """Yield everything that is wrong once nothing is due and the newer release has worked last."""
    stored = rows(url, DELIVERIES)
    copies = Counter(row["message_id"] for row in stored)
    yield from (f"{name} is stored {copies[name]} times" for name in sent if copies[name] != 1)
    for row in stored:
        wanted = sent[row["message_id"]].fate
        if wanted == "ignored" and row["event_type"] == TYPE and is_planted:
            wanted = "done"
        fate = "done" if row["fate"] in {"applied", "unchanged", "stale"} else row["fate"]
        if fate != wanted:
            yield f"{row['event_type']} {row['message_id']} is {fate}, not {wanted}"
    usable = [_delivery(row) for row in stored if sent[row["message_id"]].fate == "done"]
    suspended = {row["user_id"] for row in stored if row["event_type"] == TYPE}
    # The type that is taught is about a user, who gets a row in the mirror.
    usable += [_delivery(row) for row in stored if row["event_type"] == TYPE and is_planted]
    yield from _wrong_rows(model.fold(usable, ShapingSettings()), model.state(url), is_renamed=is_renamed)
    if is_planted and suspended != {row["user_id"] for row in rows(url, "SELECT user_id FROM consumer.suspensions")}:
        yield "suspensions are missing"


def _delivery(row: dict[str, object]) -> Delivery:
    return Delivery(**{name: row[name] for name in COLUMNS})  # type: ignore[arg-type]


def _wrong_rows(wanted: model.State, found: model.State, *, is_renamed: bool) -> Iterator[str]:
    for profile in wanted.profiles.values():
        if is_renamed and profile["full_name"] == "Unknown User":
            profile["full_name"] = NAMELESS
    for member in wanted.members.values():
        if is_renamed and member["guest_name"] == "Unknown User":
            member["guest_name"] = NAMELESS
    for table in TABLES:
        ours, theirs = getattr(wanted, table), getattr(found, table)
        yield from (f"wrong row: {table} of {key}" for key in ours | theirs if ours.get(key) != theirs.get(key))
    if wanted.sign_ins != found.sign_ins:
        yield "sign-ins are missing or double"
