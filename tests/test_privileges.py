"""Who may do what in the database, as one closed list: `python -m tests.test_privileges` writes it anew."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import class_row

from consumer.embedded import server as embedded
from consumer.postgres import migrations
from consumer.postgres.preflight import DUTIES
from consumer.postgres.privileges import Right, declared
from consumer.postgres.queries import query, sql_root
from tests.support.databases import rows, scratch_database
from tests.support.effects import applied
from tests.support.factories import delivery, membership, team_event
from tests.support.rights import catalogue
from tests.support.tenants import join, reader, seen

# Of the lines that describe the catalogue: those of our objects, of a role without rights, and of its maker.
LISTED = re.compile(
    r"(schema|table|view|sequence|column|function|policy) (consumer|consumer_masked|identity)\b"
    r"|role listed_\w+: (NOLOGIN NOINHERIT|member (postgres|listed_operator))$"
)
HEAD = (
    "Who may do what, as one closed list: `consumer migrate` makes a database that differs equal to it.",
    "CURRENT_USER is the owner of schema consumer.",
    "Written by `python -m tests.test_privileges` from the migrations.",
)
# In the order in which the statements work.
KINDS = (
    "CREATE ROLE",
    r"GRANT \w+ TO",
    # The sequence of an identity column gets a new owner by its table alone.
    "ALTER (?!SEQUENCE).* OWNER TO",
    "ALTER .* OWNER TO",
    "GRANT .* ON SCHEMA",
    "ALTER FUNCTION",
    r"ALTER TABLE .* SET \(",
    "ALTER TABLE",
    "CREATE POLICY",
    "",
)
# Roles of its own: the other tests' would only show how the tests made them.
PREFIX = "listed"
ROLES = [f"{PREFIX}_{duty}" for duty in DUTIES]
# Columns have names that begin as these roles' do.
OWN_ROLE = re.compile(rf"\b{PREFIX}_({'|'.join(DUTIES)})\b")


@contextmanager
def migrated(server_url: str) -> Iterator[str]:
    """Yield a database that holds the migrations alone; its roles, too, are made by them."""
    with scratch_database(server_url, "listed") as url:
        drop_roles(url)
        migrations.apply(url, PREFIX)
        yield url
    drop_roles(server_url)


def drop_roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for role in ROLES:
            conn.execute(f"DROP ROLE IF EXISTS {role}")


def statements(url: str) -> list[str]:
    """Return what the database holds, a statement each, under the names that the roles have by default."""
    with psycopg.connect(url, row_factory=class_row(Right)) as conn:
        conn.execute(query("privileges/plain_names"))
        found = conn.execute(query("privileges/read"), {"roles": ROLES}).fetchall()
    return sorted({OWN_ROLE.sub(r"consumer_\1", right.statement) for right in found}, key=place)


def place(statement: str) -> tuple[int, str]:
    """Sort what must come first before the rest; the kinds stand together."""
    return next(number for number, kind in enumerate(KINDS) if re.match(kind, statement)), statement


def elsewhere(url: str) -> list[str]:
    """Return what the list has no statement for: rights outside of our schemas, default privileges, types, logins."""
    return [line for line in catalogue(url, ROLES) if not LISTED.match(line)]


def test_the_list_of_privileges_is_complete_and_holds_no_more(lone_server_url: str) -> None:
    with migrated(lone_server_url) as url:
        found, others = set(statements(url)), elsewhere(url)
    listed = set(declared("consumer"))

    lacking = [f"- {line}" for line in sorted(listed - found)]
    unlisted = [f"+ {line}" for line in sorted(found - listed)]
    assert not lacking + unlisted, "\n".join(
        [
            "The migrations differ from sql/privileges.sql (- listed only, + in the database only).",
            "If that is meant, run `python -m tests.test_privileges` and read the difference again before you commit.",
            *lacking,
            *unlisted,
        ]
    )
    assert others == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT user_id FROM identity.profiles",
        "SELECT stack_user_id FROM identity.stack_user_profiles",
        "SELECT user_id FROM identity.company_members",
        "SELECT identity.current_guests(NULL, NULL, 10)",
        "SELECT user_id FROM identity.search_profiles('')",
        "SELECT company_id FROM identity.stack_integration_stats",
    ],
)
async def test_a_deleted_company_sees_no_guest_at_once_and_before_the_guest_is_re_homed(
    emptied: str, statement: str
) -> None:
    home, visited, guest = (uuid4() for _ in range(3))
    await join(emptied, home, guest)
    await applied(emptied, team_event("created", visited), membership("created", visited, guest))
    before = seen(emptied, statement, company=visited)

    await applied(emptied, team_event("deleted", visited))

    marked = (
        "SELECT FROM identity.profiles, identity.companies "
        f"WHERE guest_keys = ARRAY[guest_key] AND id = '{visited}' AND companies.deleted_at IS NOT NULL"
    )
    assert len(rows(emptied, marked)) == 1
    assert before in ([guest], [visited])
    assert seen(emptied, statement, company=visited) == []


@pytest.mark.parametrize("source", ["stack", "backfill", "reconcile", "operator"])
async def test_the_receivers_role_reads_nobody_by_a_message_id_that_is_not_the_applications(
    emptied: str, source: str
) -> None:
    user_id = uuid4()
    await join(emptied, uuid4(), user_id)
    mine = uuid4()
    asked = delivery("user.updated", user_id, source)._replace(request_id=mine)
    apps, same = (delivery("user.signed_in", user_id, "app")._replace(request_id=mine) for _ in range(2))
    await applied(emptied, apps)
    with psycopg.connect(emptied) as conn:
        for each in (asked, same._replace(source=source)):
            conn.execute(
                "INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, body, request_id) "
                "VALUES (%s, %s, %s, %s, %s, '', %s)",
                [source, each.message_id, each.event_type, each.user_id, each.occurred_at, mine],
            )
    await applied(emptied, same)

    answers = told_receiver(emptied, [each.message_id for each in (asked, apps, same)], mine)

    assert answers == 2 * [("done", False, str(user_id))]


@pytest.mark.parametrize("asks", [None, uuid4()], ids=["without a request", "as another request"])
@pytest.mark.parametrize("stored_by", [None, uuid4()], ids=["stored by nobody who waits", "stored by another request"])
async def test_the_receivers_role_reads_nobody_by_a_delivery_that_its_request_did_not_store(
    emptied: str, stored_by: UUID | None, asks: UUID | None
) -> None:
    user_id = uuid4()
    await join(emptied, uuid4(), user_id)
    apps = delivery("user.signed_in", user_id, "app")._replace(request_id=stored_by)
    await applied(emptied, apps)

    assert told_receiver(emptied, [apps.message_id], asks) == [("done", True, None)]


def told_receiver(url: str, message_ids: list[str], request_id: UUID | None) -> list[tuple[object, ...]]:
    """Return what the receiver's role learns of deliveries: state, whether it is a repeat, and whose profile."""
    with reader(url, "receiver") as conn:
        return conn.execute(
            "SELECT state, is_repeat, profile ->> 'user_id' FROM consumer.app_deliveries(%s, %s::uuid[])",
            [message_ids, [request_id] * len(message_ids)],
        ).fetchall()


def main() -> None:
    """Write the list from the migrations, applied to a new embedded database."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as server_url, migrated(server_url) as url:
            lines = [*(f"-- {line}" for line in HEAD), "", *statements(url)]
            (sql_root() / "privileges.sql").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
