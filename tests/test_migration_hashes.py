"""Migrations are frozen: by the hashes that a release carries, and by those that a database recorded."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consumer.postgres import ledger, migrations
from consumer.postgres.migration_records import HASHES, MigrationChanged
from consumer.postgres.migrations import MigrationFailed
from consumer.postgres.queries import sql_root
from tests.support import hashes
from tests.support.databases import roll_back, rows, scratch_database
from tests.support.releases import IDS, migrate, release
from tests.support.schema import dumped_schema

# The one after all that the release carries.
PLANTED = f"{ledger.release_number() + 1:04}.planted"
RECORDED = "SELECT migration_id, content_hash, next_step FROM consumer._yoyo_record ORDER BY migration_id"
# What is put in the place of what.
CHANGES = {
    "a right more": ("TO consumer_tenant;", "TO consumer_tenant, consumer_app;"),
    "a comment": ("-- ", "-- Mended. "),
    "a space": (";", " ;"),
    "another end of line": ("\n", "\r\n"),
}


@pytest.fixture
def bare_url(lone_server_url: str) -> Iterator[str]:
    with scratch_database(lone_server_url, "frozen") as url:
        yield url


def edit(file: Path, change: str) -> None:
    file.write_bytes(file.read_text().replace(*CHANGES[change]).encode())


def records(url: str) -> dict[object, object]:
    return {row["migration_id"]: row["content_hash"] for row in rows(url, RECORDED)}


def test_the_hashes_are_of_the_files_that_are_there() -> None:
    kept = (hashes.FOLDER / HASHES).read_text()

    assert kept == hashes.hash_lines(hashes.FOLDER), "run `python -m tests.support.hashes`, unless the file is released"
    assert len(kept.splitlines()) == 2 * len(IDS)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_as_released_is_refused_and_nothing_changes(bare_url: str, change: str) -> None:
    with release(len(IDS)) as folder:
        edit(folder / "0005.tenants.sql", change)
        with pytest.raises(MigrationChanged, match=r"^0005.tenants.sql of .*: not as released, .* nothing was changed"):
            migrations.apply(bare_url, "consumer")

    assert not rows(bare_url, "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(consumer|identity)'")


@pytest.mark.parametrize("suffix", [".sql", ".rollback.sql"])
def test_a_file_that_no_release_knows_is_refused(bare_url: str, suffix: str) -> None:
    with release(len(IDS)) as folder:
        (folder / f"0009.mine{suffix}").write_text("SELECT 1;")
        with pytest.raises(MigrationChanged, match=f"0009.mine{suffix} of "):
            migrations.apply(bare_url, "consumer")


@pytest.mark.parametrize("applied", [5, len(IDS)], ids=["with others pending", "with nothing pending"])
def test_a_database_that_was_migrated_from_another_file_is_refused_and_unchanged(bare_url: str, applied: int) -> None:
    migrate(bare_url, applied)
    before, schema = records(bare_url), dumped_schema(bare_url)

    with release(len(IDS)) as folder:
        edit(folder / "0003.companies.sql", "a comment")
        hashes.write(folder)
        with pytest.raises(MigrationChanged, match=r"has 0003.companies from another file .* nothing was changed"):
            migrations.apply(bare_url, "consumer")

    assert records(bare_url) == before
    assert dumped_schema(bare_url) == schema


def test_a_migration_that_is_half_done_is_finished_by_the_same_file_only(bare_url: str) -> None:
    text = "GRANT SELECT ON consumer.outbox TO consumer_app;\n-- step: intake\nALTER TABLE consumer.outbox ADD {};"
    migrate(bare_url)
    with pytest.raises(MigrationFailed):
        migrate(bare_url, planted={PLANTED: text.format("nonsense")})
    half = rows(bare_url, RECORDED)[-1]

    with pytest.raises(MigrationChanged, match=f"has {PLANTED} from another file"):
        migrate(bare_url, planted={PLANTED: text.format("planted text")})

    assert (half["migration_id"], half["next_step"]) == (PLANTED, 1)


def test_each_hash_is_recorded_of_the_file_whatever_the_prefix_of_the_roles(bare_url: str) -> None:
    migrate(bare_url, role_prefix="hashed")
    recorded = rows(bare_url, RECORDED)
    roll_back(bare_url, "hashed")

    known = {line[66:]: line[:64] for line in (hashes.FOLDER / HASHES).read_text().splitlines()}
    assert [(row["migration_id"], row["content_hash"]) for row in recorded] == [
        (migration_id, known[f"{migration_id}.sql"]) for migration_id in IDS
    ]
    assert {row["next_step"] for row in recorded} == {None}
    assert records(bare_url) == {}


@pytest.mark.parametrize("applied", [4, len(IDS)], ids=["behind", "with nothing pending"])
def test_a_database_from_before_the_hashes_gets_them(bare_url: str, applied: int) -> None:
    migrate(bare_url, applied)
    with psycopg.connect(bare_url) as conn:
        conn.execute("DROP TABLE consumer._yoyo_record")

    assert migrate(bare_url) == IDS[applied:]
    assert list(records(bare_url)) == IDS
    assert migrate(bare_url) == []


def test_a_database_that_is_ahead_is_left_as_it_is(bare_url: str) -> None:
    migrate(bare_url)
    before = records(bare_url)

    assert migrate(bare_url, 5) == []
    assert records(bare_url) == before


def test_sha256sum_can_read_the_hashes() -> None:
    line = (sql_root() / "migrations" / HASHES).read_text().splitlines()[0]

    assert line == f"{line[:64]}  0001.outbox.rollback.sql"
    assert Path(sql_root() / "migrations" / line[66:]).is_file()
