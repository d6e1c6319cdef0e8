"""What docs/DEPLOY.md and docs/UPGRADING.md have an operator type works."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.postgres import ledger
from tests.support import deploy
from tests.support.cli import call
from tests.support.commands_page import parse
from tests.support.databases import rows, scratch_database
from tests.support.processes import ROOT, SECRET
from tests.support.schema import PG_DUMP

PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("DEPLOY.md", "UPGRADING.md", "SIZING.md")}
BLOCKS = {name: re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for name, text in PAGES.items()}
LINES = [line for blocks in BLOCKS.values() for block in blocks for line in block.splitlines()]
# The image's entry point is `consumer`, so its arguments follow the name of the image or of the service.
OURS = re.compile(
    r"docker run .*stack-auth-consumer:\S+ (?P<run>.+)"
    r"|docker compose run --rm \w+ (?P<compose>.+)"
    r"|docker compose exec \w+ consumer (?P<exec>.+)"
    r'|--command "/app/bin/consumer (?P<fly>[^"]+)"'
)


def consumer_lines() -> Iterator[str]:
    for line in LINES:
        if found := OURS.search(line):
            yield next(filter(None, found.groupdict().values()))
    for text in PAGES.values():
        yield from re.findall(r"`consumer ([^`]+)`", text)


@pytest.fixture
def migrated_url(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "upgrading") as url:
        assert call(url, "migrate").exit_code == 0
        yield url


@pytest.mark.parametrize("line", sorted(set(consumer_lines())))
def test_a_command_of_the_pages_is_accepted(line: str) -> None:
    parse(shlex.split(line))


def test_the_pages_show_how_each_way_begins() -> None:
    lines = set(consumer_lines())

    assert {"migrate", "work", "maintain --watch", "doctor"} <= lines
    assert len(lines) >= 8


def test_a_path_in_the_pages_exists() -> None:
    linked = [target for text in PAGES.values() for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    typed = re.findall(r"(?<![\w/])deploy/[\w./-]+", "\n".join(LINES))

    assert len(linked) > 15
    assert [target for target in linked if not (ROOT / "docs" / target).exists()] == []
    assert [path for path in typed if not (ROOT / path.rstrip(".")).exists()] == []


def test_the_commands_make_the_secrets_of_compose(tmp_path: Path) -> None:
    [block] = [block for block in BLOCKS["DEPLOY.md"] if "mkdir -p secrets" in block]
    subprocess.run(["sh", "-euc", block], cwd=tmp_path, env={**os.environ, "STACK_WEBHOOK_SECRETS": SECRET}, check=True)
    files = {each["file"] for each in deploy.compose()["secrets"].values()}
    texts = {name: (tmp_path / name).read_text() for name in files}

    assert texts["./secrets/stack_webhook_secrets"] == SECRET
    assert f":{texts['./secrets/postgres_password']}@postgres/app" in texts["./secrets/database_url"]
    assert {(tmp_path / name).stat().st_mode & 0o004 for name in files} == {0o004}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_systemd_s_credentials_are_the_files_that_the_page_lists() -> None:
    used = {
        credential.partition(":")[2] for keys in deploy.services().values() for credential in keys["LoadCredential"]
    }

    assert {Path(path).parent for path in used} == {Path("/etc/stack-auth-consumer")}
    assert [path for path in used if f"`{Path(path).name}`" not in PAGES["DEPLOY.md"]] == []


def test_the_secrets_of_kubernetes_are_those_that_the_page_makes() -> None:
    made = {
        found[1]: set(re.findall(r"--from-file=(\w+)", line))
        for line in LINES
        if (found := re.search(r"secret generic (\S+)", line))
    }
    used = {}
    for pod in deploy.pods().values():
        [volume] = pod["spec"]["volumes"]
        values = [each["value"] for each in deploy.container(pod)["env"] if each["name"].endswith("_FILE")]
        used[volume["secret"]["secretName"]] = {Path(value).name for value in values}

    assert made == used


def test_the_commands_take_the_newest_migration_back(migrated_url: str) -> None:
    newest = ledger.carried_ids()[-1]
    [block] = [block for block in BLOCKS["UPGRADING.md"] if "NNNN.name" in block]
    script = block.replace("NNNN.name", newest)
    environment = {**os.environ, "MIGRATE_DATABASE_URL": migrated_url, "PATH": f"{Path(PG_DUMP).parent}:/usr/bin:/bin"}

    subprocess.run(["sh", "-euc", script], cwd=ROOT, env=environment, check=True, capture_output=True)
    pending = call(migrated_url, "migrate", "--check", "--json")
    again = call(migrated_url, "migrate")

    assert f'"{newest}"' in pending.output
    assert (pending.exit_code, again.exit_code) == (1, 0)
    assert rows(migrated_url, "SELECT count(*) FROM consumer.fence WHERE oldest_release > migration") == [{"count": 0}]


def test_the_page_names_the_versions_that_the_package_and_the_code_support() -> None:
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    tested = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    [(python, _), *_] = re.findall(r"^\| (3\.\d+) \| (\w+ \d+)", PAGES["UPGRADING.md"], re.MULTILINE)
    listed = re.findall(r"^\| (3\.\d+) \|", PAGES["UPGRADING.md"], re.MULTILINE)

    assert set(classified) <= set(listed)
    assert set(re.findall(r"3\.\d+", tested[0])) <= set(listed)
    assert f'requires-python = ">={python}"' in (ROOT / "pyproject.toml").read_text()
