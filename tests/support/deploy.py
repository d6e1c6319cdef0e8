"""What the files to run the service say: Dockerfile, Compose, systemd, Kubernetes, Fly, Render."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.processes import ROOT

DEPLOY = ROOT / "deploy"
SYSTEMD = DEPLOY / "systemd"
KUBERNETES = DEPLOY / "kubernetes"
PROGRAM = "/opt/stack-auth-consumer/bin/consumer"

Document = Mapping[str, Any]


class Process(NamedTuple):
    """A process of ours in one of the files: the words behind `consumer`, and the variables that it gets."""

    place: str
    words: Sequence[str]
    variables: Mapping[str, str]


def documents(path: Path) -> list[Document]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def compose() -> Document:
    [found] = documents(ROOT / "compose.yaml")
    return found


def our_services() -> Mapping[str, Document]:
    """Return the services of Compose that run our image."""
    return {name: found for name, found in compose()["services"].items() if "build" in found}


def fly(name: str = "fly.toml") -> Document:
    return tomllib.loads((DEPLOY / name).read_text())


def fly_console() -> Document:
    """Return the app of the console, which has an address of its own."""
    return fly("fly-console.toml")


def render() -> Document:
    [found] = documents(DEPLOY / "render.yaml")
    return found


def manifests(*kinds: str) -> list[Document]:
    """Return the objects of these kinds, else all, that the kustomization names."""
    [kustomization] = documents(KUBERNETES / "kustomization.yaml")
    found = [each for name in kustomization["resources"] for each in documents(KUBERNETES / name)]
    return [each for each in found if not kinds or each["kind"] in kinds]


def pods() -> Mapping[str, Document]:
    """Return the pod templates by the name of the object that makes the pods."""
    templates = {}
    for each in manifests("Deployment", "Job"):
        templates[each["metadata"]["name"]] = each["spec"]["template"]
    return templates


def container(pod: Document) -> Document:
    [found] = pod["spec"]["containers"]
    return dict(found)


def unit(path: Path) -> Mapping[str, list[str]]:
    """Return the values of each key of a unit."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def services() -> Mapping[str, Mapping[str, list[str]]]:
    return {path.stem: unit(path) for path in SYSTEMD.glob("*.service")}


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each with its text on one line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.strip().partition(" ") for line in whole.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in pairs]


def instruction(name: str) -> str:
    """Return the text of the last instruction of this name."""
    return [text for found, text in instructions() if found == name][-1]


def image_variables() -> Mapping[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))


def processes() -> Iterator[Process]:
    """Yield every process of ours in any of the files."""
    default = re.findall(r'"([^"]*)"', instruction("CMD"))
    yield Process("Dockerfile", default, image_variables())
    for name, service in our_services().items():
        yield Process(f"compose.yaml {name}", service.get("command", default), service["environment"])
    for name, pod in pods().items():
        found = container(pod)
        variables = {each["name"]: each["value"] for each in found["env"]}
        yield Process(f"kubernetes {name}", found.get("args", default), variables)
    for name, keys in services().items():
        variables = dict(value.split("=", 1) for value in keys["Environment"])
        yield Process(f"systemd {name}", shlex.split(keys["ExecStart"][0])[1:], variables)
    yield from _on_platforms()


def _on_platforms() -> Iterator[Process]:
    for settings in (fly(), fly_console()):
        lines = dict(settings["processes"])
        if "deploy" in settings:
            lines["release"] = settings["deploy"]["release_command"]
        for name, line in lines.items():
            yield Process(f"fly {name}", shlex.split(line), settings["env"])
    for service in render()["services"]:
        for key in sorted({"startCommand", "preDeployCommand"} & service.keys()):
            program, *words = shlex.split(service[key])
            assert program == "consumer"
            variables = {each["key"]: str(each.get("value", "")) for each in service["envVars"] if "key" in each}
            yield Process(f"render {service['name']} {key}", words, variables)


def shared_variables() -> Mapping[str, str]:
    """Return the variables that several processes share, in Kubernetes and on Render."""
    [kustomization] = documents(KUBERNETES / "kustomization.yaml")
    [literals] = [each["literals"] for each in kustomization["configMapGenerator"]]
    [group] = render()["envVarGroups"]
    on_render = {each["key"]: str(each["value"]) for each in group["envVars"]}
    return dict(pair.split("=", 1) for pair in literals) | on_render
