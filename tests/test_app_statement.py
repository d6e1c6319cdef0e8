"""The file of CONSUMER_PROJECTION_SQL holds one statement that the worker can run, or is refused with the reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.errors import BadSettings
from consumer.settings import app_statement
from tests.support.application import STATEMENT
from tests.support.settings import load

PARAMETER = "%(user_ids)b::uuid[]"


def written(folder: Path, text: str) -> str:
    file = folder / "projection.sql"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    "text",
    [
        STATEMENT.decode(),
        f"SELECT public.project({PARAMETER});\n",
        f"-- Ours; and theirs.\n/* one; */ UPDATE t SET a = ';', b = 'it''s;' WHERE id = ANY({PARAMETER})",
        f"DELETE FROM t WHERE id = ANY({PARAMETER}) ; \n",
        f'merge INTO "odd;name" USING unnest({PARAMETER}) AS u ON TRUE WHEN MATCHED THEN DO NOTHING -- ;',
        f"DELETE FROM t WHERE a = E'\\';' AND b = $tag$ ; ' $tag$ AND c LIKE '%%x' AND id = ANY({PARAMETER})",
        f"/* one;\n' two; */ SELECT $a$ ;\n; $a$, e'\\';\n', {PARAMETER}",
        f"/* one; */ SELECT ';', \";\", $$;$$, {PARAMETER} /* two; */",
    ],
    ids=["with", "function", "comments", "space", "identifier", "escapes", "lines and small letters", "several"],
)
def test_one_statement_is_taken_as_it_is(tmp_path: Path, text: str) -> None:
    assert app_statement.read(written(tmp_path, text)) == text.encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no statement"),
        ("-- only words\n;", "holds no statement"),
        (" ;", "holds no statement"),
        (f"DELETE FROM t WHERE id = ANY({PARAMETER}); DELETE FROM u", "more than one statement"),
        (f"SET ROLE postgres -- {PARAMETER}", "begins with SET"),
        (f"(SELECT {PARAMETER})", r"begins with \("),
        (f"selected {PARAMETER}", "begins with SELECTED; it must begin with one of DELETE, INSERT, MERGE, SELECT, UP"),
        (f"SELECT 1;; -- {PARAMETER}", "more than one statement"),
        ("DELETE FROM t", "does not use"),
        (f"DELETE FROM t -- {PARAMETER}", "does not use"),
        (f"DELETE FROM t WHERE a LIKE 'x%' AND id = ANY({PARAMETER})", "write %% for one"),
        (f"DELETE FROM t WHERE a = %(name)b AND id = ANY({PARAMETER})", "write %% for one"),
        (f"SELECT {PARAMETER} -- " + "x" * app_statement.BYTES_MAX, "is larger than 256 kB"),
    ],
    ids=[
        "empty",
        "comment",
        "semicolon",
        "two",
        "verb",
        "bracket",
        "another word",
        "two semicolons",
        "unused",
        "in a comment",
        "percent",
        "parameter",
        "large",
    ],
)
def test_what_the_worker_could_not_run_is_refused_at_the_door(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadSettings, match=f"^CONSUMER_PROJECTION_SQL names .*projection.sql, which .*{reason}"):
        load({"CONSUMER_PROJECTION_SQL": written(tmp_path, text)})


@pytest.mark.parametrize("path", ["/nowhere/projection.sql", "/", "~nobody-here/projection.sql"])
def test_a_file_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(BadSettings, match=f"^CONSUMER_PROJECTION_SQL names {path}, which cannot be read"):
        load({"CONSUMER_PROJECTION_SQL": path})


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("sql/none.sql", "{here}/sql/none.sql"),
        ("./none.sql", "{here}/none.sql"),
        ("~/none.sql", "{here}/home/none.sql"),
        ("empty.sql", "{here}/empty.sql"),
    ],
)
def test_a_refusal_names_the_whole_path_that_was_looked_for(
    path: str, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.sql").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    with pytest.raises(BadSettings, match=f"^CONSUMER_PROJECTION_SQL names {whole.format(here=tmp_path)}, which "):
        load({"CONSUMER_PROJECTION_SQL": path})


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "projection.sql"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(BadSettings, match="UnicodeDecodeError"):
        load({"CONSUMER_PROJECTION_SQL": str(file)})


def test_a_statement_has_256_kilobytes_at_most_whatever_its_letters(tmp_path: Path) -> None:
    start = f"SELECT {PARAMETER} -- "
    full = start + "é" * ((262_144 - len(start)) // 2)
    full += "x" * (262_144 - len(full.encode()))

    assert len(app_statement.read(written(tmp_path, full))) == 262_144
    with pytest.raises(ValueError, match=r"which is larger than 256 kB$"):
        app_statement.read(written(tmp_path, f"{full}x"))


def test_a_statement_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    path = written(tmp_path, f"SELECT 'é', {PARAMETER}")
    read = f"from consumer.settings import app_statement; print(app_statement.read({path!r}))"
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(sys.path)}

    said = subprocess.run([sys.executable, "-c", read], env=locale, capture_output=True, check=True).stdout

    assert said.decode().strip() == repr(f"SELECT 'é', {PARAMETER}".encode())
