"""Settings that a server, a database or a login may have: each is somebody's habit, and none is what we rely on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composable, Identifier, Literal

from tests.support.processes import until

# What lies in the search path before PostgreSQL's own functions, as orafce's documentation asks for.
SHADOWS = """
CREATE SCHEMA odd;
GRANT USAGE ON SCHEMA odd TO PUBLIC;
CREATE FUNCTION odd.lower(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'odd';
CREATE FUNCTION odd.length(text) RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1;
CREATE FUNCTION odd.btrim(text, text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'odd';
CREATE FUNCTION odd.convert_from(bytea, name) RETURNS text LANGUAGE sql IMMUTABLE RETURN '{}';
CREATE FUNCTION odd.now() RETURNS timestamptz LANGUAGE sql STABLE RETURN '2000-01-01'::timestamptz;
CREATE ACCESS METHOD odd TYPE TABLE HANDLER heap_tableam_handler;
"""
# Planner, memory and texts: none of them may change a row. The others would.
ALL: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(
        (
            *("array_nulls", "backslash_quote", "check_function_bodies", "row_security", "standard_conforming_strings"),
            *("enable_hashagg", "enable_hashjoin", "enable_indexscan", "enable_nestloop", "enable_seqscan"),
            *("enable_sort", "synchronize_seqscans"),
        ),
        ("off",),
    ),
    **dict.fromkeys(
        ("quote_all_identifiers", "transform_null_equals", "exit_on_error", "default_transaction_deferrable"), ("on",)
    ),
    "bytea_output": ("escape",),
    "client_encoding": ("LATIN1",),
    "client_min_messages": ("error",),
    "DateStyle": ("SQL", "DMY"),
    "default_table_access_method": ("odd",),
    "default_transaction_isolation": ("serializable",),
    "extra_float_digits": ("-15",),
    "gin_fuzzy_search_limit": ("1",),
    "idle_in_transaction_session_timeout": ("3s",),
    "idle_session_timeout": ("3s",),
    "IntervalStyle": ("sql_standard",),
    "jit_above_cost": ("0",),
    "lc_messages": ("C.UTF-8",),
    "lock_timeout": ("1ms",),
    "log_parameter_max_length_on_error": ("-1",),
    "plan_cache_mode": ("force_generic_plan",),
    "plpgsql.extra_errors": ("all",),
    "restrict_nonsystem_relation_kind": ("view", "foreign-table"),
    "search_path": ("odd", "pg_catalog"),
    "session_replication_role": ("replica",),
    "statement_timeout": ("3s",),
    "synchronous_commit": ("off",),
    "TimeZone": ("Pacific/Apia",),
    "transaction_timeout": ("3s",),
    "work_mem": ("64kB",),
    "xmloption": ("document",),
}
_thresholds = count(20)
LEVELS = ("SYSTEM", "DATABASE {database}", "ROLE CURRENT_USER", "ROLE CURRENT_USER IN DATABASE {database}")
# For the test's own sessions.
SANE = {
    **dict.fromkeys(
        ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"), "0"
    ),
    "row_security": "on",
    "search_path": "pg_catalog",
    "DateStyle": "ISO",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "default_transaction_read_only": "off",
    "standard_conforming_strings": "on",
}


def sane(url: str) -> str:
    """Return the conninfo of a session that has no odd setting that a test's own statements would notice."""
    return make_conninfo(url, options=" ".join(f"-c {name}={value}" for name, value in SANE.items()))


@contextmanager
def odd(url: str, settings: Mapping[str, Sequence[str]], level: str) -> Iterator[None]:
    """Have each new session begin with these settings; a setting that the server does not know is left out.

    The database is one of `lone_server_url`, because the server's own settings change too.
    """
    database = Identifier(str(conninfo_to_dict(url)["dbname"]))
    target = SQL(level).format(database=database)
    with psycopg.connect(sane(url), autocommit=True) as conn:
        # Otherwise PostgreSQL 15 does not know the settings of the language.
        conn.execute("LOAD 'plpgsql'")
        known = {name for (name,) in conn.execute("SELECT lower(name) FROM pg_settings")}
        chosen = {name: values for name, values in settings.items() if name.lower() in known}
        try:
            for name, values in chosen.items():
                value = SQL(", ").join(map(Literal, values))
                conn.execute(SQL("ALTER {} SET {} = {}").format(target, _quoted(name), value))
            _reload(conn)
            yield
        finally:
            for name in chosen:
                conn.execute(SQL("ALTER {} RESET {}").format(target, _quoted(name)))
            _reload(conn)


def _quoted(name: str) -> Composable:
    return SQL(".").join(map(Identifier, name.split(".")))


def _reload(conn: psycopg.Connection) -> None:
    """Return once the server has read its file again: a session of its own then has another threshold."""
    threshold = next(_thresholds)
    conn.execute(SQL("ALTER SYSTEM SET geqo_threshold = {}").format(Literal(threshold)))
    conn.execute("SELECT pg_reload_conf()")
    until(lambda: conn.execute("SHOW geqo_threshold").fetchone() == (str(threshold),))
