"""An application with tables of its own beside ours, and a statement that lets them follow."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

# What follows: a row per living profile, whom the statement was called for, and a name that is refused.
SCHEMA = """
    CREATE TABLE public.people (
        id uuid PRIMARY KEY,
        name text NOT NULL CONSTRAINT no_mallory CHECK (name <> 'Mallory'),
        email text CONSTRAINT one_address UNIQUE,
        company_id uuid
    );
    CREATE TABLE public.calls (number bigint GENERATED ALWAYS AS IDENTITY, user_ids uuid[] NOT NULL);
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.people TO consumer_worker;
    GRANT INSERT ON public.calls TO consumer_worker;
"""
STATEMENT = b"""
    WITH changed AS (SELECT unnest(%(user_ids)b::uuid[]) AS user_id),
    called AS (INSERT INTO public.calls (user_ids) SELECT array_agg(user_id) FROM changed HAVING count(*) > 0),
    gone AS (
        DELETE FROM public.people AS t USING changed
        WHERE t.id = changed.user_id AND NOT EXISTS (SELECT FROM identity.profiles AS p WHERE p.user_id = t.id)
    )
    INSERT INTO public.people (id, name, email, company_id)
    SELECT p.user_id, p.full_name, p.email, p.company_id
    FROM changed JOIN identity.profiles AS p USING (user_id)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, company_id = excluded.company_id
"""


@contextmanager
def tables(url: str, create: str, drop: str) -> Iterator[str]:
    """Make an application's tables for the duration."""
    with psycopg.connect(url, autocommit=True) as conn:
        try:
            conn.execute(create)
            yield url
        finally:
            conn.execute(drop)
