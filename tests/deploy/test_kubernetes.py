"""The manifests: Kubernetes knows every field, what they name exists, and the pods can do little."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from apps.core.web.draining import CLOSING_SECONDS
from apps.launcher.management.commands.serve import KILL_AFTER_SECONDS
from config.variables import variables
from tests.deploy.files import (
    MANIFESTS,
    image_environment,
    known_variables,
    manifests,
    pods,
    required_variables,
)
from tests.missing import leave_out

ALL = manifests()
CONFIGURATION = ALL["ConfigMap", "mengla"]["data"]
SECRETS = ALL["Secret", "mengla"]["stringData"]
PLACE_OF_SECRETS = "/run/secrets/mengla/"


def container(name: str) -> dict[str, object]:
    """The only container of a pod."""
    (one,) = pods()[name]["spec"]["containers"]
    return one


@pytest.mark.parametrize("named", sorted(ALL), ids="-".join)
def test_kubernetes_knows_every_field(named: tuple[str, str]) -> None:
    try:
        import kubernetes_validate
    except ImportError:
        leave_out("kubernetes-validate is not installed")
    kubernetes_validate.validate(ALL[named], kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_every_manifest(tmp_path: Path) -> None:
    kustomization = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    named = {name.replace("secret.yaml", "secret.example.yaml") for name in kustomization["resources"]}
    there = {path.name for path in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml", "secret.yaml"}
    assert named == there
    assert {one["name"] for one in kustomization["images"]} == {container(name)["image"] for name in pods()}
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return  # no package of Debian has it
    for path in MANIFESTS.glob("*.yaml"):
        shutil.copy(path, tmp_path / path.name.replace(".example", ""))
    built = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, check=True)
    images = set(re.findall(r"image: (\S+)", built.stdout))
    assert images == {f"{one['newName']}:{one['newTag']}" for one in kustomization["images"]}


def test_everything_is_in_one_namespace() -> None:
    for (kind, name), one in ALL.items():
        assert one["metadata"].get("namespace", name if kind == "Namespace" else "") == "mengla"


# --- Variables ------------------------------------------------------------------------------------


def test_the_product_knows_every_variable() -> None:
    own = {entry["name"] for name in pods() for entry in container(name).get("env", [])}
    assert {*CONFIGURATION, *own} <= known_variables()
    assert required_variables() <= {name.removesuffix("_FILE") for name in CONFIGURATION} | set(
        image_environment()
    )
    assert not any(one.is_secret and name in CONFIGURATION for name, (one, _) in variables().items())


def test_each_secret_is_a_file_that_something_reads() -> None:
    files = {name: value for name, value in CONFIGURATION.items() if name.endswith("_FILE")}
    for name in pods():
        own = {entry["name"]: entry["value"] for entry in container(name).get("env", [])}
        assert name == "mengla-migrate" or own == {}
        files |= own
    assert files == {f"{name}_FILE": f"{PLACE_OF_SECRETS}{name}" for name in SECRETS}
    for name in pods():
        mounts = {one["name"]: one["mountPath"] for one in container(name)["volumeMounts"]}
        assert f"{mounts['secrets']}/" == PLACE_OF_SECRETS


# --- Pods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_can_do_little(name: str) -> None:
    """The rules of the level "restricted", and a root directory that is read-only."""
    spec, one = pods()[name]["spec"], container(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert one["resources"]["limits"]["memory"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert volumes == {mount["name"] for mount in one["volumeMounts"]}
    assert image_environment()["TMPDIR"] in {mount["mountPath"] for mount in one["volumeMounts"]}


@pytest.mark.parametrize("name", ["mengla-web", "mengla-worker"])
def test_a_deployment_finds_its_pods(name: str) -> None:
    spec = ALL["Deployment", name]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert ALL["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"] == labels
    assert spec["replicas"] > ALL["PodDisruptionBudget", name]["spec"]["maxUnavailable"]


def test_the_way_from_the_ingress_to_a_pod() -> None:
    (rule,) = ALL["Ingress", "mengla"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    service = ALL["Service", path["backend"]["service"]["name"]]
    assert service["spec"]["selector"] == pods()["mengla-web"]["metadata"]["labels"]
    (port,) = service["spec"]["ports"]
    assert port["name"] == path["backend"]["service"]["port"]["name"]
    (listening,) = container("mengla-web")["ports"]
    assert port["targetPort"] == listening["name"]
    assert container("mengla-web")["args"][-1] == str(listening["containerPort"])
    (rule_of_network,) = ALL["NetworkPolicy", "mengla-web"]["spec"]["ingress"]
    assert rule_of_network["ports"] == [{"protocol": "TCP", "port": listening["containerPort"]}]
    assert f"https://{rule['host']}" == CONFIGURATION["APP_BASEURL"]
    assert rule["host"] == CONFIGURATION["ALLOWED_HOSTS"]


def test_probes_ask_one_process_and_not_its_servers() -> None:
    """While MongoDB is down, readers still get what the caches hold: no pod may leave for that."""
    web, worker = container("mengla-web"), container("mengla-worker")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert web[probe]["httpGet"] == {"path": "/health", "port": "http"}
    for probe in ("startupProbe", "livenessProbe"):
        assert worker[probe]["exec"]["command"][-2:] == [
            "worker",
            image_environment()["WORKER_HEARTBEAT_FILE"],
        ]


def test_a_stop_waits_for_what_is_in_progress() -> None:
    web, worker = pods()["mengla-web"]["spec"], pods()["mengla-worker"]["spec"]
    pause = math.ceil(float(CONFIGURATION["DRAIN_SECONDS"]) + CLOSING_SECONDS)
    assert web["terminationGracePeriodSeconds"] > pause + KILL_AFTER_SECONDS
    assert worker["terminationGracePeriodSeconds"] == 11 * 60
    assert ALL["Deployment", "mengla-web"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
