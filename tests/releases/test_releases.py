"""Two releases on one database, with real processes: no combination of them leaves a wrong row."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.releases import kept
from tests.releases.drill import NEWER, OLDER, PATIENCE_SECONDS, Drill, Plan
from tests.releases.newer import ADDS, CHANGES, KINDS, made
from tests.support.databases import scratch_database
from tests.support.processes import ROOT

BOTH = (OLDER, NEWER)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept.unpacked(kept.oldest(), tmp_path_factory.mktemp("older"))


def migrations(root: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (root / "sql" / "migrations").glob("*.sql")}


def test_this_tree_still_has_the_migrations_of_the_release_that_is_kept(older: Path) -> None:
    before, now = migrations(older), migrations(ROOT)

    assert before.items() <= now.items(), "run `python -m tests.releases.kept` unless the migrations are frozen"


def drilled(
    server_url: str, older: Path, kind: str, tmp_path: Path, workers: Sequence[str], patience: float = PATIENCE_SECONDS
) -> list[str]:
    """Let receivers of both releases and these workers run after the newer one has migrated; return what is wrong."""
    (folder := tmp_path / "work").mkdir()
    with scratch_database(server_url, "releases") as url:
        drill = Drill(url, folder, {OLDER: older, NEWER: made(kind, tmp_path / "newer")}, patience=patience)
        return drill.run(Plan(migrators=(NEWER, OLDER), receivers=BOTH, workers=workers), kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_releases_side_by_side_leave_the_rows_of_the_model(
    server_url: str, older: Path, tmp_path: Path, kind: str
) -> None:
    assert drilled(server_url, older, kind, tmp_path, BOTH) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ADDS, CHANGES])
def test_this_release_beside_its_successor_leaves_the_rows_of_the_model(
    server_url: str, tmp_path: Path, kind: str
) -> None:
    this = kept.unpacked(kept.keep(tmp_path), tmp_path / "older")

    assert drilled(server_url, this, kind, tmp_path, BOTH) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "flaw"),
    [
        pytest.param(
            CHANGES,
            "consumer/postgres/ledger.py",
            "if release_number() >= oldest_release:",
            "if release_number() >= 0:",
            "wrong row: profiles",
            id="an older release without the fence",
        ),
        pytest.param(
            ADDS,
            "consumer/worker/batch.py",
            "if is_ahead:",
            "if is_ahead and False:",
            "is ignored, not done",
            id="an older release that ignores what it does not know",
        ),
    ],
)
def test_the_drill_notices(
    server_url: str, tmp_path: Path, kind: str, file: str, old: str, new: str, flaw: str
) -> None:
    # Of this tree: it may work beside a successor that only adds a type.
    careless = kept.unpacked(kept.keep(tmp_path), tmp_path / "older")
    text = (careless / file).read_text()
    assert old in text
    (careless / file).write_text(text.replace(old, new))

    # It waits in vain for the older worker not to be ready.
    flaws = drilled(server_url, careless, kind, tmp_path, [OLDER], 10.0)

    assert any(flaw in each for each in flaws), flaws
