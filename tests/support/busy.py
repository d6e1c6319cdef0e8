"""A migrator beside others: in a thread, in a process that is killed, and what it waits for."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from tests.support.databases import rows
from tests.support.processes import ROOT, until
from tests.support.releases import migrate

# As many people as make several pages, every tenth a guest of another company.
FILL = """
INSERT INTO identity.companies (id, name)
SELECT md5('company' || n)::uuid, 'Company ' || n FROM generate_series(1, 9) AS n;
INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department)
SELECT md5(n::text)::uuid, md5('company' || 1 + n % 9)::uuid, 'José ' || n, 'member', 'General'
FROM generate_series(1, 2500) AS n;
INSERT INTO identity.stack_user_profiles (stack_user_id, company_id, has_profile)
SELECT user_id, company_id, TRUE FROM identity.profiles;
INSERT INTO identity.company_members (company_id, user_id, joined_at)
SELECT company_id, user_id, now() FROM identity.profiles;
INSERT INTO identity.company_members (company_id, user_id, joined_at)
SELECT md5('company' || 1 + (n + 1) % 9)::uuid, md5(n::text)::uuid, now() FROM generate_series(10, 2500, 10) AS n;
"""
UNFINISHED = """
SELECT p.user_id FROM identity.profiles AS p INNER JOIN identity.stack_user_profiles AS m ON p.user_id = m.stack_user_id
WHERE p.search_name <> identity.folded(p.full_name) OR p.guest_keys IS DISTINCT FROM m.guest_keys
OR p.guest_keys IS DISTINCT FROM (
    SELECT array_agg(c.guest_key ORDER BY c.guest_key) FROM identity.company_members AS b
    INNER JOIN identity.companies AS c ON b.company_id = c.id
    WHERE b.user_id = p.user_id AND b.company_id <> p.company_id AND b.is_guest
)
"""
KILLED_BY = """
import os, signal, sys
import psycopg
from consumer.postgres import migrations

url, text, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
execute = psycopg.Cursor.execute

def counted(self, statement, *args, **kwargs):
    global left
    if text in (statement.decode() if isinstance(statement, bytes) else str(statement)):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, statement, *args, **kwargs)

psycopg.Cursor.execute = counted
migrations.apply(url, "consumer")
"""
WAITING = """
SELECT a.pid FROM pg_stat_activity AS a WHERE a.application_name = 'consumer migrate' AND a.datname = current_database()
AND cardinality(pg_blocking_pids(a.pid)) > 0
"""


def crowded(url: str, count: int) -> None:
    """Migrate to the release with *count* migrations, and put in people and companies."""
    migrate(url, count)
    with psycopg.connect(url) as conn:
        conn.execute(FILL)


def killed_by(url: str, text: str, times: int) -> None:
    """Run a migrator that is killed when it is about to run a statement with this text for the n-th time."""
    command = [sys.executable, "-c", KILLED_BY, url, text, str(times)]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL


@contextmanager
def migrating(url: str, call: Callable[[str], list[str]] = migrate) -> Iterator[Future[list[str]]]:
    """Migrate in a thread, which has ended when the block is left."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(call, url)


def until_it_waits(url: str) -> None:
    """Return when a session holds the migrator up."""
    until(lambda: rows(url, WAITING))
