"""A connection string as people have it, made one that libpq takes."""

import re
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

# What Prisma, SQLAlchemy, asyncpg, node-postgres, Rails, JDBC and Supabase's pages add to a URL and libpq refuses.
ORM_PARAMETERS = re.compile(
    r"ApplicationName|advisory_locks|command_timeout|connection_limit|currentSchema|encoding|pgbouncer|pool|pool_size"
    r"|pool_timeout|prepareThreshold|prepared_statement_cache_size|prepared_statements|schema|socket_timeout|sslaccept"
    r"|sslidentity|statement_cache_size|statement_limit|supa|uselibpqcompat|workaround"
)
# libpq's two schemes, and the driver that SQLAlchemy writes behind one.
SCHEME = re.compile(r"(postgres(?:ql)?)(\+\w+)?")


def for_libpq(text: str) -> tuple[str, list[str]]:
    """Return the string without what libpq refuses, a sentence on each thing dropped; ValueError if it is unreadable.

    What stays is not written anew: libpq reads a plus sign as one, where urlencode writes it for a space.
    """
    url, warnings = _trimmed(text)
    try:
        conninfo_to_dict(url)
    # libpq's own words quote what it could not read: of a mistyped URL, a piece of the password.
    except psycopg.ProgrammingError:
        raise ValueError("is not a connection string that libpq understands.") from None
    return url, warnings


def _trimmed(text: str) -> tuple[str, list[str]]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text, []  # The other form: key=value.
    known = SCHEME.fullmatch(scheme)
    if not known:
        raise ValueError("must start with postgresql:// or postgres://.")
    warnings = [f"the driver in {scheme}:// was dropped."] if known[2] else []
    query_at = rest.find("?", rest.rfind("@") + 1)
    if query_at < 0:
        return f"{known[1]}://{rest}", warnings
    kept, dropped = _sifted(rest[query_at + 1 :].split("&"))
    if dropped:
        warnings.append(f"parameters that libpq does not know were dropped: {', '.join(dropped)}.")
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{known[1]}://{rest[:query_at]}{query}", warnings


def _sifted(parameters: list[str]) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    dropped: list[str] = []
    for parameter in parameters:
        name = unquote(parameter.partition("=")[0])
        if ORM_PARAMETERS.fullmatch(name):
            dropped.append(name)
        else:
            kept.append(parameter)
    return kept, dropped
