"""What the benchmarks share: a server of their own, events of one size, and the table they print."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import orjson
import psycopg
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from consumer.embedded import server as embedded

# A user event as a current sender writes it, with the metadata of an ordinary application.
EVENT_BYTES = 1300
# A file or a pipe would get a table folded into 80 columns.
TABLE_COLUMNS = 200


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """Yield *url*, or an embedded server of this run's own: fsync on, everything durable."""
    if url:
        yield url
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as own:
            yield own


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """Create an empty database for the duration."""
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name}")
        try:
            yield make_conninfo(server_url, dbname=name)
        finally:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def user_event(user_id: UUID, number: int) -> bytes:
    """Return the body of a `user.updated` of EVENT_BYTES bytes."""
    data: dict[str, object] = {
        "id": str(user_id),
        "display_name": f"User {number}",
        "primary_email": f"user{number}@example.com",
        "primary_email_verified": True,
        "primary_email_auth_enabled": True,
        "profile_image_url": f"https://images.example.com/avatars/{user_id}.png",
        "signed_up_at_millis": 1_795_330_800_123,
        "last_active_at_millis": 1_795_330_800_123 + number,
        "client_metadata": {"theme": "dark", "locale": "en-GB"},
        "client_read_only_metadata": {"plan": "team"},
        "server_metadata": {"role": "editor", "department": "Research", "note": ""},
        "has_password": True,
        "otp_auth_enabled": False,
        "auth_with_email": True,
        "requires_totp_mfa": False,
        "passkey_auth_enabled": False,
        "oauth_providers": [{"id": "google", "account_id": "100000000000000000001", "email": None}],
        "selected_team_id": None,
        "selected_team": None,
        "is_anonymous": False,
        "is_restricted": False,
        "restricted_reason": None,
        "restricted_by_admin": False,
        "restricted_by_admin_reason": None,
        "restricted_by_admin_private_details": None,
        "country_code": "GB",
        "risk_scores": {"sign_up": {"bot": 0, "free_trial_abuse": 0}},
    }
    missing = EVENT_BYTES - len(orjson.dumps({"type": "user.updated", "data": data}))
    data["server_metadata"] = {"role": "editor", "department": "Research", "note": "x" * missing}
    return orjson.dumps({"type": "user.updated", "data": data})


def show(title: str, rows: Sequence[Mapping[str, object]], facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print one table, or one JSON document, of everything a run measured."""
    if as_json:
        json.dump({"title": title, **facts, "rows": rows}, sys.stdout, indent=1)
        print()
        return
    table = Table(title=title)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name, justify="left" if name == names[0] else "right")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in names))
    console = Console(width=None if sys.stdout.isatty() else TABLE_COLUMNS)
    console.print(table)
    for name, value in facts.items():
        console.print(f"{name}: {_shown(value)}", highlight=False)


def progress(text: str) -> None:
    """Print on stderr the name of the current measure."""
    print(text, file=sys.stderr, flush=True)


async def unfollowed(_message_id: str, _request_id: UUID, _patience: timedelta) -> None:
    """Stand in for the wait for a delivery: no request asks for one."""


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
