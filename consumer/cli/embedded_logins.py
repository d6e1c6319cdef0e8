"""The embedded server and its logins, one for each kind of process: none of them works as its superuser."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from consumer.embedded.server import SUPERUSER, server
from consumer.postgres import migrator
from consumer.postgres.preflight import DUTIES
from consumer.postgres.queries import query

EmbeddedLogin = Literal["receiver", "worker", "migrate", "operator", "superuser"]
# By the kind of process. The superuser is for the application's tables, which may belong to any role.
LOGINS: Mapping[EmbeddedLogin, str] = {
    "receiver": "{prefix}_receiver_login",
    "worker": "{prefix}_worker_login",
    "migrate": "{prefix}_migrator_login",
    "operator": "{prefix}_operator_login",
    "superuser": SUPERUSER,
}


@contextmanager
def embedded_uris(data_dir: Path, role_prefix: str, *, create: bool) -> Iterator[Mapping[EmbeddedLogin, str]]:
    """Run the embedded server with its logins until the block ends; yield the URI of each."""
    with server(data_dir, create=create) as uri:
        _make_logins(uri, role_prefix)
        yield {
            kind: uri.replace(f"//{SUPERUSER}@", f"//{login.format(prefix=role_prefix)}@", 1)
            for kind, login in LOGINS.items()
        }


def _make_logins(uri: str, role_prefix: str) -> None:
    with migrator.connect(uri) as conn, conn.transaction():
        conn.execute(query("embedded_logins/set_names"), {"role_prefix": role_prefix, "duties": ",".join(DUTIES)})
        conn.execute(query("embedded_logins/make"))
