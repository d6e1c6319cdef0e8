"""What `consumer export` prints: everything that is held about a user, and nothing about anybody else."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from tests.support.cli import arrive, call, facts, work
from tests.support.erasing import EMAIL, Life
from tests.support.factories import user_updated
from tests.support.outbox import set_aside
from tests.support.processes import ROOT


def exported(url: str, life: Life) -> Any:
    result = call(url, "export", str(life.user_id))
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


def test_everything_that_is_held_is_one_document(emptied: str) -> None:
    life = Life()
    told = life.told()
    arrive(emptied, *told)
    work(emptied)
    failed = life.whole()
    arrive(emptied, failed)
    set_aside(emptied, [failed])
    call(emptied, "dead", "discard", failed.message_id, "--reason", "a test")

    document = exported(emptied, life)

    user_id = str(life.user_id)
    assert document["user_id"] == document["mirror"]["stack_user_id"] == document["profile"]["user_id"] == user_id
    assert document["profile"]["email"] == EMAIL
    assert {row["company_id"] for row in document["members"]} == {str(life.own_id), str(life.shared_id)}
    assert len(document["memberships"]) == 2
    assert [row["permission_id"] for row in document["permissions"]] == ["team_admin"]
    assert [(row["field"], row["value"]) for row in document["edits"]] == [("role_type", "owner")]
    assert {row["operation"] for row in document["audit"]} >= {"created", "signed_in"}
    own = [*(each for each in told if each.user_id == life.user_id), failed]
    assert {row["message_id"]: row["body"] for row in document["deliveries"]} == {
        each.message_id: orjson.loads(each.body) for each in own
    }
    assert document["exclusions"][0]["reason"].startswith("a test")
    assert document["failures"] == []
    assert str(life.stranger_id) not in orjson.dumps(document).decode()


def test_a_failed_delivery_is_told_with_its_error(emptied: str) -> None:
    life = Life()
    failed = life.whole()
    arrive(emptied, failed)
    set_aside(emptied, [failed])

    document = exported(emptied, life)

    assert (document["mirror"], document["profile"], document["audit"]) == (None, None, [])
    assert [row["state"] for row in document["failures"]] == ["dead"]


def test_a_body_keeps_its_numbers_and_one_that_is_no_json_is_told_in_hex(emptied: str) -> None:
    life = Life()
    exact = life.whole()
    number = (
        b'{"type":"user.updated","data":{"id":"%s","n":123456789012345678901234567890.10}}' % str(life.user_id).encode()
    )
    broken = life.whole()._replace(body=b"\xff{", error_code="not_json", error="$: no JSON")
    arrive(emptied, exact._replace(body=number, event_type="user.of_a_type_to_come"), broken)

    result = call(emptied, "export", str(life.user_id), "--json")

    assert b"123456789012345678901234567890.10" in result.stdout_bytes
    assert '"body_hex": "ff7b"' in result.stdout


def test_nothing_held_is_one_sentence(emptied: str) -> None:
    arrive(emptied, user_updated())

    result = call(emptied, "export", str(uuid4()))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Nothing is held about this user.\n"


def test_an_exclusion_that_was_taken_back_is_told_and_its_texts_are_listed_by_an_erasure(emptied: str) -> None:
    life = Life()
    told = life.told()
    arrive(emptied, *told)
    work(emptied)
    own = next(each for each in told if each.user_id == life.user_id)
    chosen = ["--message-id", own.message_id]
    facts(emptied, "deliveries", "discard", *chosen, "--reason", f"asked by {EMAIL}")
    facts(emptied, "deliveries", "undiscard", *chosen, "--reason", "no mistake")
    work(emptied)

    [exclusion] = exported(emptied, life)["exclusions"]
    report = facts(emptied, "erase", str(life.user_id), "--dry-run")

    assert (exclusion["reason"], exclusion["taken_back_reason"]) == (f"asked by {EMAIL}", "no mistake")
    listed = [(mention["relation"], mention["column"]) for mention in report["mentions"]]
    assert ("consumer.past_exclusions", "reason") in listed


def test_a_reader_of_the_pipe_that_leaves_ends_it_without_a_traceback(emptied: str, tmp_path: Path) -> None:
    life = Life()
    arrive(emptied, *life.told())

    command = [sys.executable, "-m", "consumer", "export", str(life.user_id)]
    variables = {**os.environ, "DATABASE_URL": emptied, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (1, "")
