"""Turns the connection strings that people have into ones that libpq accepts."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from consumer.settings.client_parameters import is_of_client

# libpq's two schemes, with JDBC's prefix or the driver that SQLAlchemy appends.
SCHEME = re.compile(r"(jdbc:)?(postgres(?:ql)?)(\+\w+)?")
# What other clients call libpq's modes of encryption. Dropped, they would leave a connection less safe than asked for.
SSL_MODES = {
    **{mode: mode for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")},
    **dict.fromkeys(("1", "true", "on", "no-verify"), "require"),
    **dict.fromkeys(("0", "false", "off"), "prefer"),
}
ENCODING_HINT = "if the password has @ : / # or %, write it percent-encoded"
# libpq takes JDBC's ssl=true for sslmode=require.
PARAMETERS = frozenset(option.keyword.decode() for option in Conninfo.get_defaults()) | {"ssl"}
# Of a URL's query: a name of any other form may be a piece of a password that holds & or ?; then @ follows.
PARAMETER = re.compile(r"[A-Za-z][A-Za-z_-]{2,}=[^=@]*")


def for_libpq(text: str) -> tuple[str, list[str]]:
    """Return the string that libpq accepts, and a warning for each dropped part; ValueError if it is unreadable.

    The rest is kept as it was written: urlencode would write a space as a plus sign, which libpq reads as a plus sign.
    """
    url, warnings = _trimmed(text)
    try:
        conninfo_to_dict(url)
    # libpq's own message quotes the text that it could not read: a piece of the password, if the URL is mistyped.
    except psycopg.ProgrammingError:
        hint = f"; {_unknown(url) or ENCODING_HINT}" if "://" in text else ""
        raise ValueError(f"is not a connection string that libpq understands{hint}") from None
    return url, warnings


def _unknown(url: str) -> str | None:
    """Return a sentence on parameters that libpq does not know, if nothing else is wrong with the URL."""
    rest, _, query = url.rpartition("?")
    parameters = query.split("&")
    unknown = [part for part in parameters if PARAMETER.fullmatch(part) and part.partition("=")[0] not in PARAMETERS]
    known = "&".join(part for part in parameters if part not in unknown)
    try:
        conninfo_to_dict(f"{rest}?{known}")
    except psycopg.ProgrammingError:
        return None
    names = ", ".join(part.partition("=")[0] for part in unknown)
    return f"it does not know the parameter {names}" if names and "password" not in query else None


def _trimmed(text: str) -> tuple[str, list[str]]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text, []  # libpq's other form: key=value.
    known = SCHEME.fullmatch(scheme)
    if not known:
        raise ValueError("must start with postgresql:// or postgres://")
    warnings = [f"the driver in {scheme}:// was dropped."] if known[1] or known[3] else []
    # As libpq reads it: a login ends at the first at sign before any slash, and a password may have a question mark.
    query_at = rest.find("?", rest.partition("/")[0].find("@") + 1)
    if query_at < 0:
        return f"{known[2]}://{rest}", warnings
    parameters = rest[query_at + 1 :].split("&")
    names = [unquote(parameter.partition("=")[0]) for parameter in parameters]
    dropped = [name for name in names if name not in PARAMETERS and is_of_client(name)]
    kept = [parameter for parameter, name in zip(parameters, names, strict=True) if name not in dropped]
    if dropped:
        warnings.append(f"parameters that libpq does not know were dropped: {', '.join(dropped)}.")
    translated = list(_translated(kept, has_mode="sslmode" in names))
    warnings += [f"{given} was read as {meant or 'nothing'}." for given, meant in translated if meant != given]
    read = [meant for given, meant in translated if meant or not given]
    query = f"?{'&'.join(read)}" if read else ""
    return f"{known[2]}://{rest[:query_at]}{query}", warnings


def _translated(parameters: Sequence[str], *, has_mode: bool) -> Iterator[tuple[str, str]]:
    """Yield each parameter and what libpq takes for it: other clients have modes of their own, `ssl` and `sslmode`."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        # libpq takes this one, and would let it win over sslmode=verify-full.
        if name == "ssl" and has_mode and value in SSL_MODES:
            yield parameter, ""
        elif name in {"ssl", "sslmode"} and value in SSL_MODES and (name, value) != ("ssl", "true"):
            yield parameter, f"sslmode={SSL_MODES[value]}"
        else:
            yield parameter, parameter
