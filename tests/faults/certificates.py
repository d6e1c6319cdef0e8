"""Certificates of a server: one that is right, one that has expired, one of another host."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.faults.cluster import Cluster

OPENSSL = shutil.which("openssl")
DAYS = {"past": ("20200101000000Z", "20210101000000Z"), "present": ("20200101000000Z", "20991231000000Z")}
CONFIGURATION = """
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
certificate = root.crt
private_key = root.key
default_md = sha256
rand_serial = yes
unique_subject = no
copy_extensions = copy
policy = any
[any]
commonName = supplied
"""


class Certificate(NamedTuple):
    """A certificate and its key."""

    text: Path
    key: Path

    def install(self, server: Cluster) -> None:
        """Put both where the server looks for them when it starts."""
        for file in self:
            target = server.installation.cluster / f"server{file.suffix}"
            target.write_bytes(file.read_bytes())
            target.chmod(0o600)
            os.chown(target, server.installation.uid, server.installation.gid)

    def show(self, server: Cluster) -> None:
        """Have a running server show it to everybody, who must connect anew."""
        self.install(server)
        server.reload()
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'consumer%'"
            )


class Papers(NamedTuple):
    """A root and what it vouches for; the server is called localhost."""

    root: Path
    valid: Certificate
    expired: Certificate
    foreign: Certificate


def papers(folder: Path) -> Papers:
    """Make a root and its certificates."""
    (folder / "ca.conf").write_text(CONFIGURATION)
    (folder / "index").touch()
    _openssl(folder, "req", "-x509", *_new("root"), "-out", "root.crt", "-subj", "/CN=A root", "-days", "2")
    return Papers(
        folder / "root.crt",
        _certificate(folder, "valid", "localhost", "present"),
        _certificate(folder, "expired", "localhost", "past"),
        _certificate(folder, "foreign", "elsewhere.example", "present"),
    )


def _certificate(folder: Path, name: str, host: str, when: str) -> Certificate:
    subject = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    _openssl(folder, "req", *_new(name), "-out", f"{name}.csr", *subject)
    start, end = DAYS[when]
    days = ("-startdate", start, "-enddate", end)
    _openssl(folder, "ca", "-batch", "-config", "ca.conf", "-in", f"{name}.csr", "-out", f"{name}.crt", *days)
    return Certificate(folder / f"{name}.crt", folder / f"{name}.key")


def _new(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")


def _openssl(folder: Path, *arguments: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *arguments], cwd=folder, check=True, capture_output=True)
