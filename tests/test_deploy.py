"""What the files to run the service say of it is true: commands, variables, ports, versions, time to stop."""

import re
from importlib.metadata import version
from typing import Any

import pytest

from consumer.cli import console
from consumer.cli.addresses import is_loopback
from consumer.cli.database import VARIABLES
from consumer.console.guard import HEALTH
from consumer.postgres.refusals import VERSION_MIN
from consumer.process.signals import EXIT_SECONDS_MAX
from consumer.settings.settings import ENVIRONMENT_ONLY, NAMES, Settings
from tests.support import deploy
from tests.support.commands_page import parse
from tests.support.deploy import Process
from tests.support.processes import ROOT
from tests.support.settings import load

DEFAULTS = Settings()
OPS_PORT = int(deploy.image_variables()["OPS_PORT"])
PROCESSES = {process.place: process for process in deploy.processes()}
# Variables of Python and of Render, which ours stand beside.
FOREIGN = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHON_VERSION"}
# Which database each command needs.
DATABASES = {"serve": "receiver", "work": "worker", "migrate": "migrate", "maintain": "operator", "console": "operator"}
CONSOLES = [process for process in PROCESSES.values() if process.words == ["console"]]
every_process = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


@every_process
def test_a_command_line_is_accepted(process: Process) -> None:
    parse(process.words)


@every_process
def test_a_variable_is_a_setting(process: Process) -> None:
    assert process.variables.keys() - NAMES - ENVIRONMENT_ONLY - FOREIGN == set()


@every_process
def test_a_file_that_holds_a_secret_is_given_to_the_process(process: Process) -> None:
    """In Compose, Kubernetes and systemd a secret is a file, so that no listing of the environment shows it."""
    tool, _, name = process.place.partition(" ")
    files = {each: value for each, value in process.variables.items() if each.endswith("_FILE")}
    if tool == "compose.yaml":
        given = {f"/run/secrets/{each}" for each in deploy.our_services()[name]["secrets"]}
    elif tool == "systemd":
        given = {f"%d/{each.partition(':')[0]}" for each in deploy.services()[name]["LoadCredential"]}
    elif tool == "kubernetes":
        [mount] = deploy.container(deploy.pods()[name])["volumeMounts"]
        given = {f"{mount['mountPath']}/{each}" for each in ("database_url", "stack_webhook_secrets", "console_secret")}
    else:
        return
    own, shared = f"{VARIABLES[DATABASES[process.words[0]]]}_FILE", "DATABASE_URL_FILE"  # type: ignore[index]

    assert set(files.values()) <= given
    assert files.keys() & {own, shared}
    assert ("STACK_WEBHOOK_SECRETS_FILE" in files) == (process.words[0] == "serve")
    assert ("CONSOLE_SECRET_FILE" in files) == (process.words[0] == "console")


def test_each_way_runs_receiver_worker_migrate_console_and_a_watch_that_notifies() -> None:
    ways = {process.place.partition(" ")[0] for process in PROCESSES.values()} - {"Dockerfile"}

    assert ways == {"compose.yaml", "kubernetes", "systemd", "fly", "render"}
    for way in ways:
        lines = [process.words for process in PROCESSES.values() if process.place.startswith(f"{way} ")]
        assert {words[0] for words in lines} == {"serve", "work", "migrate", "maintain", "console"}, way
        assert ["maintain", "--watch"] in lines, way


@every_process
def test_no_process_uses_the_bundled_server(process: Process) -> None:
    assert not {"up", "demo", "--embedded"} & set(process.words)


def test_what_processes_share_are_settings() -> None:
    assert deploy.shared_variables().keys() - NAMES - FOREIGN == set()


def test_names_in_env_example_are_the_settings() -> None:
    """The page that the files refer to knows the same names."""
    named = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    used = {name.removesuffix("_FILE") for process in PROCESSES.values() for name in process.variables} - FOREIGN
    assert used <= named


def test_the_image_listens_on_every_address_of_its_container() -> None:
    assert PROCESSES["Dockerfile"].words == ["serve", "--host", "0.0.0.0"]
    assert deploy.instruction("EXPOSE") == str(DEFAULTS.port)
    assert f":{OPS_PORT}/readyz" in deploy.instruction("HEALTHCHECK")


def test_the_ops_port_is_published_nowhere() -> None:
    published = {name: found.get("ports", []) for name, found in deploy.compose()["services"].items()}
    services = deploy.manifests("Service")

    assert {name: ports for name, ports in published.items() if ports} == {
        "receiver": [f"127.0.0.1:{DEFAULTS.port}:{DEFAULTS.port}"],
        "console": [f"127.0.0.1:{console.PORT}:{console.PORT}"],
    }
    assert [port["targetPort"] for each in services for port in each["spec"]["ports"]] == ["http", "console"]
    assert deploy.fly()["http_service"]["internal_port"] == DEFAULTS.port
    assert deploy.fly_console()["http_service"]["internal_port"] == console.PORT
    assert "services" not in {**deploy.fly(), **deploy.fly_console()}


def test_metrics_are_read_from_the_ops_port() -> None:
    [metrics] = deploy.fly()["metrics"]
    annotated = [pod["metadata"]["annotations"] for pod in deploy.pods().values() if "annotations" in pod["metadata"]]

    assert (metrics["port"], metrics["path"]) == (OPS_PORT, "/metrics")
    assert set(metrics["processes"]) == set(deploy.fly()["processes"]) - {"maintain"}
    assert [each["prometheus.io/port"] for each in annotated] == [str(OPS_PORT)] * 2


@pytest.mark.parametrize(("name", "port"), [("consumer-receiver", "http"), ("consumer-worker", "ops")])
def test_probes_ask_the_port_that_the_process_has(name: str, port: str) -> None:
    found = deploy.container(deploy.pods()[name])
    ports = {each["name"]: each["containerPort"] for each in found["ports"]}

    assert ports == {"ops": OPS_PORT} | ({"http": DEFAULTS.port} if port == "http" else {})
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port}
    assert found["livenessProbe"]["httpGet"] == {"path": "/livez", "port": port}
    assert PROCESSES[f"kubernetes {name}"].variables["OPS_HOST"] == "0.0.0.0"


def test_platforms_ask_for_readiness() -> None:
    settings = deploy.fly()
    [check] = settings["http_service"]["checks"]
    receiver = next(each for each in deploy.render()["services"] if each["name"] == "consumer-receiver")

    assert check["path"] == receiver["healthCheckPath"] == "/readyz"
    assert (settings["checks"]["worker"]["path"], settings["checks"]["worker"]["port"]) == ("/readyz", OPS_PORT)


@pytest.mark.parametrize("process", CONSOLES, ids=[process.place for process in CONSOLES])
def test_a_console_starts_and_other_machines_reach_it_by_https_alone(process: Process) -> None:
    """A value that the platform asks for or makes is empty in the file."""
    values = {"CONSOLE_URL": "https://console.example.com", "CONSOLE_SECRET": "0" * 32}
    variables = {name: value or values[name] for name, value in process.variables.items() if name in console_settings()}
    settings = load({name: value for name, value in variables.items() if not name.endswith("_FILE")})

    assert console.problems(settings) == []
    assert is_loopback(settings.console_host) == process.place.startswith("systemd ")
    # Each keeps its links over a restart; on Fly both secrets are set beside the file.
    assert {"CONSOLE_SECRET", "CONSOLE_SECRET_FILE"} & process.variables.keys() or process.place.startswith("fly ")


def console_settings() -> set[str]:
    return {name for name in NAMES if name.startswith("CONSOLE_")}


def test_every_console_is_asked_for_its_health_on_its_own_port() -> None:
    pod = deploy.container(deploy.pods()["consumer-console"])
    probe = {"path": HEALTH, "port": "console"}
    [check] = deploy.fly_console()["http_service"]["checks"]
    [service] = [each for each in deploy.render()["services"] if each["startCommand"] == "consumer console"]

    assert f"http://127.0.0.1:{console.PORT}{HEALTH}" in deploy.our_services()["console"]["healthcheck"]["test"][-1]
    assert pod["ports"] == [{"name": "console", "containerPort": console.PORT}]
    assert (pod["readinessProbe"]["httpGet"], pod["livenessProbe"]["httpGet"]) == (probe, probe)
    assert check["path"] == service["healthCheckPath"] == HEALTH
    # Where no other is set, Render's PORT is 10000.
    assert PROCESSES["render consumer-console startCommand"].variables["CONSOLE_PORT"] == "10000"


def test_what_render_and_fly_refer_to_is_in_their_files() -> None:
    blueprint, settings = deploy.render(), deploy.fly()
    variables = [each for service in blueprint["services"] for each in service["envVars"]]
    checks = [settings["http_service"], settings["checks"]["worker"], *settings["metrics"]]

    assert {each["fromDatabase"]["name"] for each in variables if "fromDatabase" in each} == {
        each["name"] for each in blueprint["databases"]
    }
    assert {each["fromGroup"] for each in variables if "fromGroup" in each} == {
        each["name"] for each in blueprint["envVarGroups"]
    }
    assert {name for check in checks for name in check["processes"]} == set(settings["processes"]) - {"maintain"}


def test_two_units_on_one_machine_have_two_ops_ports() -> None:
    ports = [process.variables.get("OPS_PORT") for place, process in PROCESSES.items() if place.startswith("systemd ")]
    taken = [port for port in ports if port]

    assert len(set(taken)) == len(taken) == 2
    assert str(DEFAULTS.port) not in taken


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_each_way_waits_for_the_process_to_end() -> None:
    apps = (deploy.fly(), deploy.fly_console())
    found: dict[str, float] = {app["app"]: seconds(app["kill_timeout"]) for app in apps}
    for name, service in deploy.our_services().items():
        found[f"compose {name}"] = seconds(service["stop_grace_period"])
    for name, pod in deploy.pods().items():
        # Without one Kubernetes waits 30 s.
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        before = deploy.container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        found[f"kubernetes {name}"] = grace - before
    for name, keys in deploy.services().items():
        if keys["Type"] == ["exec"]:
            found[f"systemd {name}"] = seconds(keys["TimeoutStopSec"][0])

    assert len(found) == 2 + 5 + 5 + 4
    assert {place for place, granted in found.items() if granted < EXIT_SECONDS_MAX} == set()
    assert {deploy.instruction("STOPSIGNAL"), *(app["kill_signal"] for app in apps)} == {"SIGTERM"}


def test_versions_are_this_release() -> None:
    release = version("stack-auth-consumer")
    [kustomization] = deploy.documents(deploy.KUBERNETES / "kustomization.yaml")
    [image] = kustomization["images"]

    assert {found["image"] for found in deploy.our_services().values()} == {f"stack-auth-consumer:{release}"}
    assert (image["name"], image["newTag"]) == ("stack-auth-consumer", release)
    assert {deploy.container(pod)["image"] for pod in deploy.pods().values()} == {image["name"]}


def test_python_and_postgresql_are_versions_that_are_supported() -> None:
    supported = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    bases = [text.partition(" ")[0] for name, text in deploy.instructions() if name == "FROM"]
    python = deploy.shared_variables()["PYTHON_VERSION"]
    postgres = deploy.compose()["services"]["postgres"]["image"]
    [database] = deploy.render()["databases"]

    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:(3\.\d+)-slim-\w+", bases[0])[1] in supported  # type: ignore[index]
    assert ".".join(python.split(".")[:2]) in supported
    assert int(postgres.partition(":")[2].partition("-")[0]) * 10_000 >= VERSION_MIN
    assert int(database["postgresMajorVersion"]) * 10_000 >= VERSION_MIN


def test_selectors_select_pods_and_policies_name_ports_of_theirs() -> None:
    labels = [pod["metadata"]["labels"] for pod in deploy.pods().values()]
    ports = {port["name"] for pod in deploy.pods().values() for port in deploy.container(pod).get("ports", [])}
    selectors: list[dict[str, Any]] = [each["spec"]["selector"] for each in deploy.manifests("Service")]
    selectors += [
        each["spec"]["selector"]["matchLabels"] for each in deploy.manifests("Deployment", "PodDisruptionBudget")
    ]
    for each in deploy.manifests("NetworkPolicy"):
        selectors.append(each["spec"]["podSelector"].get("matchLabels", {}))
        assert {port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]} <= ports

    assert [selector for selector in selectors if not any(selector.items() <= each.items() for each in labels)] == []
    assert len(selectors) == 2 + 4 + 1 + 3


def test_only_prometheus_reaches_the_ops_port_of_a_pod_and_the_ingress_its_console() -> None:
    rules = [rule for each in deploy.manifests("NetworkPolicy") for rule in each["spec"]["ingress"]]
    open_to_all = [port["port"] for rule in rules if "from" not in rule for port in rule["ports"]]

    others = [rule["ports"] for rule in rules if {"namespaceSelector": named("monitoring")} not in rule.get("from", [])]

    assert open_to_all == ["http"]
    assert others == [[{"port": "http"}], [{"port": "console"}]]
    assert {} in [each["spec"]["podSelector"] for each in deploy.manifests("NetworkPolicy")]


def named(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def test_every_manifest_is_in_the_kustomization() -> None:
    [kustomization] = deploy.documents(deploy.KUBERNETES / "kustomization.yaml")
    files = {path.name for path in deploy.KUBERNETES.iterdir()} - {"kustomization.yaml"}
    [shared] = kustomization["configMapGenerator"]
    used = {each["configMapRef"]["name"] for pod in deploy.pods().values() for each in deploy.container(pod)["envFrom"]}

    assert set(kustomization["resources"]) == files
    assert used == {shared["name"]}
