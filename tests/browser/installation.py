"""A made-up installation in which three things need somebody: deliveries die, a sender and a worker are silent.

Deliveries are stored, applied and buried by the receiver's and the worker's own code, and hours are counted by the job
of `maintain`. Only what has to lie in the past is written there: earlier deliveries, and the reports of processes.
"""

import asyncio
from random import Random
from uuid import UUID

import psycopg

from consumer.outbox.storage import Delivery
from tests.support import application
from tests.support.cli import SECRET, arrive, call
from tests.support.databases import change
from tests.support.dead import dead_at_the_door
from tests.support.factories import edited, membership, team_event, user_updated

# Both senders have a secret, so both are expected to send.
ENVIRONMENT = {
    "STACK_WEBHOOK_SECRETS": SECRET,
    "APP_WEBHOOK_SECRETS": "whsec_MJu13X5JXY7WpAG3ZvfXnxlHlZESuj6H",
}
FIRST_NAMES = ("Mara", "Jonas", "Ada", "Ines", "Noor", "Teun", "Sofia", "Ravi", "Lena", "Omar", "Yuki", "Paul")
LAST_NAMES = ("Lindqvist", "Okafor", "Brandt", "Ferreira", "Novak", "Haddad", "Sato", "Keller", "Moreau", "Singh")
COMPANIES = ("Northwind", "Fabrikam", "Contoso", "Tailspin")
IMAGES = "https://images.example.com"
PEOPLE = 60
# More than the ten from which on deliveries count as dying.
DYING = 14
# The application's own table; two accounts of one address are what kills deliveries.
APP_TABLE = """
CREATE TABLE public.app_users (
    id uuid PRIMARY KEY, name text, email text CONSTRAINT app_users_email_key UNIQUE
);
GRANT SELECT, INSERT, UPDATE, DELETE ON public.app_users TO consumer_worker;
"""
APP_STATEMENT = b"""
INSERT INTO public.app_users (id, name, email)
SELECT p.user_id, p.full_name, p.email FROM identity.profiles AS p WHERE p.user_id = ANY(%(user_ids)b::uuid[])
ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email
"""
# Of each of the last weeks the hours around this one, in which both sources sent every two minutes; the backend has not
# since three hours ago. More is not looked at.
EARLIER = """
WITH stored AS (
    INSERT INTO consumer.outbox
        (source, message_id, event_type, user_id, occurred_at, received_at, verified_by, body)
    SELECT
        s.source, 'earlier_' || s.source || extract(EPOCH FROM at)::bigint, s.event_type, %(user_id)s, at, at,
        '0123abcd', convert_to('{"type": "' || s.event_type || '", "data": {"id": "' || %(user_id)s || '"}}', 'UTF8')
    FROM (VALUES ('stack', 'user.updated', interval '10 minutes'), ('app', 'user.signed_in', interval '192 minutes'))
        AS s (source, event_type, silence)
    CROSS JOIN generate_series(0, 4) AS k (week)
    CROSS JOIN LATERAL generate_series(
        now() - k.week * interval '168 hours' - interval '6 hours',
        least(now() - k.week * interval '168 hours' + interval '1 hour', now() - s.silence),
        interval '2 minutes'
    ) AS at
    ORDER BY at
    RETURNING seq, received_at
)
INSERT INTO consumer.outcomes (seq, outcome, at)
SELECT seq, 'unchanged', received_at + interval '12 milliseconds' FROM stored
"""
# An hour of reports: the first worker goes on, the second was last heard of 14 minutes ago.
REPORTS = """
INSERT INTO consumer.reports
    (process_id, duty, host, pid, release, at, next_at, clock_skew_seconds, counters, histograms)
SELECT
    p.id::uuid, p.duty, p.host, p.pid, '0.2.0', at,
    at + CASE WHEN at > now() - interval '10 seconds' THEN interval '1 hour' ELSE interval '10 seconds' END,
    p.skew, made.counters, made.histograms
FROM (VALUES
    ('00000000-0000-4000-8000-000000000001', 'receiver', 'web-1', 412, 0.004, interval '0'),
    ('00000000-0000-4000-8000-000000000002', 'worker', 'work-1', 415, -0.011, interval '0'),
    ('00000000-0000-4000-8000-000000000003', 'worker', 'work-2', 388, 0.002, interval '14 minutes'),
    ('00000000-0000-4000-8000-000000000004', 'maintenance', 'work-1', 420, -0.010, interval '0')
) AS p (id, duty, host, pid, skew, silence)
CROSS JOIN LATERAL generate_series(now() - interval '1 hour', now() - p.silence, interval '10 seconds') AS at
CROSS JOIN LATERAL (SELECT (90 + 30 * sin(extract(EPOCH FROM at) / 200) + 20 * random())::integer AS n) AS load
CROSS JOIN LATERAL (SELECT
    CASE p.duty
        WHEN 'receiver' THEN jsonb_build_object(
            'deliveries_received:stored', n,
            'deliveries_refused:no_match', (at > now() - interval '40 seconds')::integer
        )
        WHEN 'worker' THEN jsonb_build_object('deliveries_applied:applied', n)
        ELSE '{}'
    END AS counters,
    CASE p.duty
        WHEN 'receiver' THEN jsonb_build_object('receive_seconds', ARRAY[2, 20, n, 20, 8, 2, 0, 0, 0, 0, 0, 0, 0])
        WHEN 'worker' THEN jsonb_build_object(
            'delivery_seconds', ARRAY[n, n / 2, 9, (4 * random())::integer] || array_fill(0, ARRAY[25])
        )
        ELSE '{}'
    END AS histograms
) AS made
"""


def fill(url: str) -> None:
    """Fill an emptied database."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(APP_TABLE)
        conn.execute(EARLIER, {"user_id": person(PEOPLE - 1)})
        conn.execute(REPORTS)
    chance = Random(2026)
    arrive(url, *_arrived(chance))
    # The edits are the backend's, which has been silent for longer.
    change(
        url, "UPDATE consumer.outbox SET received_at = now() - interval '4 hours' WHERE event_type = 'profile.edited'"
    )
    work(url)
    arrive(url, *_same_addresses(), dead_at_the_door("msg_without_an_id"))
    work(url)
    arrive(
        url,
        *(user_updated(person(n), **_account(n), profile_image_url=f"https://img.example.com/{n}") for n in range(6)),
    )
    work(url)
    assert call(url, "maintain").exit_code == 0


def work(url: str) -> None:
    """Apply what is due as a worker does that gives up at once and keeps the application's table."""
    asyncio.run(application.work(url, application.worker(APP_STATEMENT, attempts_max=1)))


def person(number: int) -> UUID:
    """Return the id of a person."""
    return UUID(int=Random(number).getrandbits(128), version=4)


def company(number: int) -> UUID:
    """Return the id of a company."""
    return UUID(int=Random(f"company {number}").getrandbits(128), version=4)


def _arrived(chance: Random) -> list[Delivery]:
    teams = [team_event("created", company(n), display_name=name) for n, name in enumerate(COMPANIES)]
    people = [user_updated(person(n), **_account(n)) for n in range(PEOPLE)]
    joins = [membership("created", company(n % len(COMPANIES)), person(n)) for n in range(PEOPLE)]
    edits = [edited(person(n), role_type="owner") for n in range(4)]
    return [*teams, *people, *chance.sample(joins, len(joins)), *edits]


def _same_addresses() -> list[Delivery]:
    return [user_updated(person(PEOPLE + n), **_account(n)) for n in range(DYING)]


def _account(number: int) -> dict[str, object]:
    first, last = FIRST_NAMES[number % len(FIRST_NAMES)], LAST_NAMES[number % len(LAST_NAMES)]
    address = f"{first}.{last}.{number}@example.com".lower()
    return {"display_name": f"{first} {last}", "primary_email": address, "client_metadata": {"theme": "dark"}}
