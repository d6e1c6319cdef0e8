"""Each file to run the service is valid for the tool that reads it, and as closed as that tool allows."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from tests.support import deploy
from tests.support.processes import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent
# Of 10; 9.6 is what a unit without any of these settings has.
EXPOSURE_MAX = 1.5
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")


def run(*command: str | Path, **environment: str) -> str:
    """Return what a tool prints; it must find nothing wrong."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment or None, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_compose_yaml_follows_the_compose_specification() -> None:
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_the_workflows_follow_github_s_schema() -> None:
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_dependabot_keeps_the_pins_of_actions_and_images_fresh() -> None:
    file = ROOT / ".github" / "dependabot.yml"
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.dependabot", file)

    [found] = deploy.documents(file)
    assert {each["package-ecosystem"] for each in found["updates"]} == {"github-actions", "docker"}


def test_the_workflows_are_without_known_weaknesses() -> None:
    """Pinned actions, no kept credentials, no text of strangers in a script, least permissions."""
    run(TOOLS / "zizmor", "--offline", "--no-progress", "--min-severity", "medium", *WORKFLOWS)


def test_an_action_is_pinned_by_its_commit() -> None:
    used = [found for path in WORKFLOWS for found in re.findall(r"uses: (\S+)(.*)", path.read_text())]
    foreign = [(name, tag) for name, tag in used if not name.startswith("./")]

    assert len(foreign) > 10
    assert [name for name, tag in foreign if not re.fullmatch(r" # v\d+\.\d+\.\d+", tag)] == []
    assert [name for name, _ in foreign if not re.search(r"@[0-9a-f]{40}$", name)] == []


def test_the_dockerfile_passes_its_linter() -> None:
    run(TOOLS / "hadolint", "Dockerfile")


def test_every_manifest_follows_the_schema_of_kubernetes() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "kubernetes.json").read_text())
    problems = []
    for manifest in deploy.manifests():
        own = {"$ref": schema["kinds"][manifest["kind"]], "$defs": schema["$defs"]}
        problems += [f"{manifest['kind']}: {error.message}" for error in Draft7Validator(own).iter_errors(manifest)]

    assert problems == []
    assert {manifest["kind"] for manifest in deploy.manifests()} == set(schema["kinds"])


def test_the_schema_of_kubernetes_refuses_a_slip() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "kubernetes.json").read_text())
    own = {"$ref": schema["kinds"]["Job"], "$defs": schema["$defs"]}
    [job] = deploy.manifests("Job")
    slip = json.loads(json.dumps(job).replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))

    assert not Draft7Validator(own).is_valid(slip)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")
def test_kubectl_builds_the_kustomization() -> None:
    built = run("kubectl", "kustomize", deploy.KUBERNETES)

    assert built.count("image: registry.example.com/stack-auth-consumer:") == len(deploy.pods())


def test_our_containers_can_write_nothing_and_gain_nothing() -> None:
    for name, service in deploy.our_services().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name, pod in deploy.pods().items():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert deploy.container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_the_image_s_user_is_a_number_that_is_not_root() -> None:
    user, _, group = deploy.instruction("USER").partition(":")

    assert int(user) > 0
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in deploy.pods().values()} == {int(user)}
    assert {pod["spec"]["securityContext"]["fsGroup"] for pod in deploy.pods().values()} == {int(group)}


def test_the_database_of_compose_is_reached_from_inside_alone() -> None:
    found = deploy.compose()

    assert found["networks"]["database"] == {"internal": True}
    assert found["services"]["postgres"]["networks"] == ["database"]
    assert "ports" not in found["services"]["postgres"]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that exists."""
    folder = tmp_path / "units"
    shutil.copytree(deploy.SYSTEMD, folder)
    for path in folder.glob("*.service"):
        path.write_text(path.read_text().replace(deploy.PROGRAM, str(Path("/bin/true").resolve())))
    return folder


@needs_systemd
def test_systemd_reads_the_units_without_a_warning(units: Path) -> None:
    files = [path for path in sorted(units.iterdir()) if path.is_file()]

    said = run("systemd-analyze", "verify", "--man=no", *files, SYSTEMD_UNIT_PATH=f"{units}:", PATH="/usr/bin:/bin")

    assert len(files) == 5
    assert str(units) not in said


@needs_systemd
@pytest.mark.parametrize("name", sorted(deploy.services()))
def test_a_unit_is_exposed_little(units: Path, name: str) -> None:
    analyzed = run(
        *("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={int(10 * EXPOSURE_MAX)}"),
        units / f"{name}.service",
        SYSTEMD_UNIT_PATH=f"{units}:",
        PATH="/usr/bin:/bin",
    )

    assert "Overall exposure level" in analyzed


def test_every_unit_is_hardened_by_the_one_file() -> None:
    [folder] = [path for path in deploy.SYSTEMD.iterdir() if path.is_dir()]

    assert folder.name == "consumer-.service.d"
    assert all(name.startswith("consumer-") for name in deploy.services())
    keys = deploy.unit(folder / "hardening.conf")
    assert (keys["DynamicUser"], keys["ProtectSystem"]) == (["yes"], ["strict"])
