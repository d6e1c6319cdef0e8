"""What row-level security costs an application: `python -m bench.tenants` compares readers in one run.

A million profiles in 50,000 companies, one of which has half of them. `lookup` is one person of a company by both ids,
the whole transaction as an application sends it: role, context, query, commit. Readers take turns, so that the machine
drifts under both. Then each query of a tenant's runs under EXPLAIN ANALYZE, in a company of ten, in the large one, and
in one that is no user's home and has every fifth user as a guest.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from bench.cpu import backend, cpu_seconds, microseconds
from bench.support import database, progress, server, show
from consumer.postgres import migrations

Connection = psycopg.Connection[Any]

# The company n has the id md5(n); person n is at home in company 0 where n is even, and is named so that one in a
# thousand is found by a part of the name.
FILL = """
INSERT INTO identity.companies (id, name)
SELECT md5('company' || n)::uuid, 'Company ' || n FROM generate_series(0, {companies}) AS n;

INSERT INTO identity.profiles (
    user_id, company_id, full_name, search_name, email, role_type, department, updated_at
)
SELECT
    md5(n::text)::uuid,
    md5('company' || CASE WHEN n % 2 = 0 THEN 0 ELSE 1 + n / 2 % ({companies} - 1) END)::uuid,
    named.full_name,
    identity.folded(named.full_name),
    'user' || n || '@example.com',
    CASE WHEN n % 200 < 2 THEN 'admin' ELSE 'member' END,
    'Department ' || n % 100,
    now() - n * interval '1 second'
FROM generate_series(1, {profiles}) AS n
CROSS JOIN LATERAL (
    SELECT (ARRAY['Ada', 'Ben', 'Eve', 'Müller'])[1 + n % 4]
        || CASE WHEN n % 1000 < 2 THEN ' José' ELSE ' Smith' END || n AS full_name
) AS named;

INSERT INTO identity.stack_user_profiles (stack_user_id, company_id, version, message_id, has_profile)
SELECT user_id, company_id, '1', 'x', TRUE FROM identity.profiles;

INSERT INTO identity.company_members (company_id, user_id, joined_at)
SELECT company_id, user_id, now() FROM identity.profiles;

-- Every twentieth person is a guest of another company, and every fifth one of the last, which is no person's home.
INSERT INTO identity.company_members (company_id, user_id, joined_at, is_guest)
SELECT md5('company' || 1 + n % ({companies} - 1))::uuid, md5(n::text)::uuid, now(), TRUE
FROM generate_series(20, {profiles}, 20) AS n
UNION ALL
SELECT md5('company' || {companies})::uuid, md5(n::text)::uuid, now(), TRUE
FROM generate_series(5, {profiles}, 5) AS n
ON CONFLICT DO NOTHING;

UPDATE identity.stack_user_profiles AS m
SET guest_keys = g.guest_keys
FROM (
    SELECT b.user_id, array_agg(c.guest_key ORDER BY c.guest_key) AS guest_keys
    FROM identity.company_members AS b JOIN identity.companies AS c ON b.company_id = c.id
    WHERE b.is_guest
    GROUP BY b.user_id
) AS g
WHERE m.stack_user_id = g.user_id;
UPDATE identity.profiles AS p SET guest_keys = m.guest_keys
FROM identity.stack_user_profiles AS m
WHERE p.user_id = m.stack_user_id AND m.guest_keys IS NOT NULL;
UPDATE identity.company_members AS b SET search_name = p.search_name
FROM identity.profiles AS p
WHERE b.is_guest AND b.user_id = p.user_id;
"""
LOOKUP = "SELECT full_name, email, role_type FROM identity.profiles WHERE company_id = %s AND user_id = %s"
COLUMNS = "SELECT user_id, full_name FROM identity.profiles"
OURS = "company_id = identity.current_company_id()"
QUERIES = {
    "one person": f"{COLUMNS} WHERE user_id = %(user)s",
    "a page": f"{COLUMNS} WHERE {OURS} AND user_id > %(user)s ORDER BY user_id LIMIT 50",
    "one role": f"{COLUMNS} WHERE {OURS} AND role_type = 'admin' AND octet_length(role_type) <= 256 "
    "ORDER BY user_id LIMIT 50",
    "one department": f"{COLUMNS} WHERE {OURS} AND department = 'Department 7' AND octet_length(department) <= 256 "
    "ORDER BY user_id LIMIT 50",
    "what changed last": f"{COLUMNS} WHERE {OURS} ORDER BY updated_at DESC, user_id DESC LIMIT 50",
    "names that begin": "SELECT user_id, full_name FROM identity.search_profiles('ada jos')",
    "names that contain": "SELECT user_id, full_name FROM identity.search_profiles('jose')",
    "a part of no name": "SELECT user_id, full_name FROM identity.search_profiles('qqq')",
    "everybody, no company named": "SELECT count(*) FROM identity.profiles",
}


def fill(conn: Connection, *, profiles: int, companies: int) -> None:
    conn.execute(FILL.format(profiles=profiles, companies=companies).encode())
    conn.commit()
    conn.autocommit = True
    conn.execute("VACUUM ANALYZE")
    conn.execute("CHECKPOINT")
    conn.autocommit = False


def enter(conn: Connection, role: str, company_id: UUID) -> None:
    conn.execute("SELECT set_config('role', %s, TRUE), set_config('app.company_id', %s, TRUE)", [role, str(company_id)])


def lookups(
    conns: Mapping[str, Connection], pairs: list[tuple[UUID, UUID]], *, is_prepared: bool
) -> dict[str, list[float]]:
    """Return the seconds of each lookup by role; both look up the same people, in turns."""
    taken: dict[str, list[float]] = {role: [] for role in conns}
    for pair in pairs:
        for role, conn in conns.items():
            started = time.perf_counter()
            enter(conn, role, pair[0])
            found = conn.execute(LOOKUP, pair, prepare=is_prepared).fetchall()
            conn.commit()
            taken[role].append(time.perf_counter() - started)
            assert len(found) == 1
    return taken


def compared(url: str, rounds: int) -> list[dict[str, object]]:
    sample = "SELECT company_id, user_id FROM identity.profiles ORDER BY md5(user_id::text) LIMIT %s"
    rows: list[dict[str, object]] = []
    for is_prepared in (True, False):
        progress("lookups, " + ("prepared" if is_prepared else "planned each time"))
        # A session of its own for each: a plan is for one role.
        with psycopg.connect(url) as free_conn, psycopg.connect(url) as tenant_conn:
            pairs = free_conn.execute(sample, [rounds]).fetchall()
            conns = {"consumer_app": free_conn, "consumer_tenant": tenant_conn}
            processes = [backend(conn) for conn in conns.values()]
            before = [process and cpu_seconds(process) for process in processes]
            taken = lookups(conns, pairs, is_prepared=is_prepared)
            after = [process and cpu_seconds(process) for process in processes]
        free, bound = (statistics.median(times) * 1e6 for times in taken.values())
        free_cpu, bound_cpu = (microseconds(*each, len(pairs)) for each in zip(before, after, strict=True))
        rows.append(
            {
                "lookup": "prepared" if is_prepared else "planned each time",
                "without µs": free,
                "tenant µs": bound,
                "ratio": bound / free,
                "without, PostgreSQL CPU µs": free_cpu,
                "tenant, PostgreSQL CPU µs": bound_cpu,
                "CPU ratio": bound_cpu / free_cpu if bound_cpu and free_cpu else None,
            }
        )
    return rows


def planned(conn: Connection, companies: Mapping[str, UUID]) -> list[dict[str, object]]:
    rows = []
    for name, text in QUERIES.items():
        progress(name)
        row: dict[str, object] = {"query": name}
        for size, company_id in companies.items():
            enter(conn, "consumer_tenant", company_id)
            [(plan,)] = conn.execute(
                ("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + text).encode(), {"user": UUID(int=1 << 126)}
            ).fetchall()
            conn.rollback()
            row[f"ms, {size}"] = plan[0]["Execution Time"]
            row["by"] = ", ".join(sorted(set(_indexes(plan[0]["Plan"])))) or "a function's own plan"
        rows.append(row)
    return rows


def _indexes(plan: Mapping[str, Any]) -> list[str]:
    own = [plan["Index Name"]] if "Index Name" in plan else []
    if plan["Node Type"] == "Seq Scan":
        own = [f"all of {plan['Relation Name']}"]
    return own + [name for child in plan.get("Plans", ()) for name in _indexes(child)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--companies", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5_000)
    parser.add_argument("--database-url", help="a server to use instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options.database_url) as server_url, database(server_url, "tenants") as url:
        migrations.apply(url, "consumer")
        progress("filling")
        with psycopg.connect(url) as conn:
            fill(conn, profiles=options.profiles, companies=options.companies)
            rows = compared(url, options.rounds)
            numbers = {"ten people": 1, f"{options.profiles // 2:,}": 0, "guests": options.companies}
            companies = {size: UUID(hashlib.md5(f"company{n}".encode()).hexdigest()) for size, n in numbers.items()}
            plans = planned(conn, companies)
    show("Lookups and queries under row-level security", [*rows, *plans], {}, as_json=options.json)


if __name__ == "__main__":
    main()
