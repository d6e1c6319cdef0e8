"""The account that runs the embedded server for root: its own where useradd works, else one that is there."""

import os
import pwd
from pathlib import Path

import pytest

from consumer.embedded import programs
from consumer.embedded.programs import account, prepare
from consumer.embedded.server import server
from tests.support.embedded import answers, the

OWN = "stack-auth-consumer"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def without_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the account of the server's own."""
    found = pwd.getpwnam

    def lookup(name: str) -> pwd.struct_passwd:
        if name == OWN:
            raise KeyError(name)
        return found(name)

    monkeypatch.setattr(pwd, "getpwnam", lookup)


def useradd(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a program in useradd's place that writes down its arguments; return the file they are in."""
    folder.mkdir(parents=True)
    program, log = folder / "useradd", folder / "arguments"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(programs, "ADMIN_PATH", str(folder))
    return log


@pytest.mark.skipif(not IS_ROOT or not Path("/usr/sbin/useradd").exists(), reason="only root makes accounts")
def test_a_new_server_of_root_s_runs_as_an_account_of_its_own_that_nobody_logs_in_to(empty_dir: Path) -> None:
    with server(empty_dir, create=True) as uri:
        assert answers(uri)
        own = pwd.getpwnam(OWN)
        assert (empty_dir / "cluster").stat().st_uid == own.pw_uid
        assert the(empty_dir, "postgres").uids().effective == own.pw_uid
    assert (own.pw_dir, own.pw_shell, own.pw_uid < 1000) == ("/nonexistent", "/usr/sbin/nologin", True)


@pytest.mark.skipif(not IS_ROOT, reason="only root chooses an account")
@pytest.mark.parametrize("script", ["exit 1", "exec sleep 60"], ids=["refuses", "hangs"])
@pytest.mark.usefixtures("without_own")
def test_where_useradd_does_not_work_an_account_that_is_there_runs_the_server(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(programs, "USERADD_SECONDS_MAX", 0.5)
    log = useradd(empty_dir.parent / "bin", monkeypatch, script)

    installation = prepare(empty_dir)

    assert log.read_text().split()[-1] == OWN
    assert pwd.getpwuid(installation.uid).pw_name in {"postgres", "nobody"}


@pytest.mark.skipif(not IS_ROOT, reason="only root chooses an account")
@pytest.mark.usefixtures("without_own")
def test_without_useradd_an_account_that_is_there_runs_the_server(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "ADMIN_PATH", "/nonexistent")

    assert pwd.getpwuid(prepare(empty_dir).uid).pw_name in {"postgres", "nobody"}


@pytest.mark.usefixtures("without_own")
def test_a_user_who_is_not_root_makes_no_account(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = useradd(empty_dir.parent / "bin", monkeypatch, "exit 0")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    assert account(empty_dir / "cluster")[0] == 4711
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(programs, "_binaries", lambda: empty_dir.parent)
        patched.setattr(programs, "_first_closed_folder", lambda *_: None)
        prepare(empty_dir)

    assert not log.exists()


@pytest.mark.skipif(not IS_ROOT, reason="only root chooses an account")
@pytest.mark.usefixtures("without_own")
def test_a_cluster_that_is_there_keeps_its_account(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = useradd(empty_dir.parent / "bin", monkeypatch, "exit 0")
    nobody = pwd.getpwnam("nobody")
    (empty_dir / "cluster").mkdir(parents=True)
    os.chown(empty_dir / "cluster", nobody.pw_uid, nobody.pw_gid)

    assert prepare(empty_dir).uid == nobody.pw_uid
    assert not log.exists()
