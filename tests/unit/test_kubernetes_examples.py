"""The manifests in examples/kubernetes: valid, and in agreement with dlmon and with each other."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dlmon.config.settings import Settings
from dlmon.config.values import SETTINGS
from tests.conftest import unavailable

yaml = pytest.importorskip("yaml", reason="comes with kubernetes-validate, of the extra dev")

EXAMPLES = Path(__file__).parents[2] / "examples" / "kubernetes"
PACKAGES = Path(__file__).parents[1] / "page"
_VALIDATE_KEDA = """
const kinds = require("@kubernetes-models/keda/keda.sh/v1alpha1");
for (const manifest of JSON.parse(require("fs").readFileSync(0)))
  new kinds[manifest.kind](manifest).validate();
"""


def manifests(group: str = "") -> list[dict[str, Any]]:
    """Those whose apiVersion begins with `group`."""
    return [
        manifest
        for path in sorted(EXAMPLES.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
        if manifest["kind"] != "Kustomization" and manifest["apiVersion"].startswith(group)
    ]


def manifest(kind: str) -> dict[str, Any]:
    [found] = [one for one in manifests() if one["kind"] == kind]
    return found


@pytest.mark.parametrize("release", ["1.31", "1.34"])
def test_kubernetes_has_what_the_manifests_say(release: str) -> None:
    try:
        import kubernetes_validate
    except ImportError:
        unavailable("no kubernetes-validate: type `pip install kubernetes-validate`")
    checked = [one for one in manifests() if "keda" not in one["apiVersion"]]
    assert {one["kind"] for one in checked} == {"Secret", "Deployment", "PodDisruptionBudget"}
    for one in checked:
        kubernetes_validate.validate(one, release, strict=True)


@pytest.mark.browser
def test_keda_has_what_the_manifests_say() -> None:
    if not (PACKAGES / "node_modules" / "@kubernetes-models").is_dir():
        unavailable("no npm packages: type `npm ci --prefix tests/page`")
    checked = manifests("keda.sh/")
    assert len(checked) == 2
    subprocess.run(
        ["node", "-e", _VALIDATE_KEDA],
        cwd=PACKAGES,
        input=json.dumps(checked).encode(),
        check=True,
    )


def test_the_variables_are_settings_of_dlmon() -> None:
    [container] = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    named = {variable["name"] for variable in container["env"]}
    assert named
    assert named <= {f"DLMON_{setting.upper()}" for setting in SETTINGS}


def test_every_key_of_the_secret_is_used_and_nothing_else() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    references = [
        *(one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one),
        *(
            item | {"name": pod["volumes"][0]["secret"]["secretName"]}
            for item in pod["volumes"][0]["secret"]["items"]
        ),
        *manifest("TriggerAuthentication")["spec"]["secretTargetRef"],
    ]
    secret = manifest("Secret")
    assert {one["name"] for one in references} == {secret["metadata"]["name"]}
    assert {one["key"] for one in references} == secret["stringData"].keys()


def test_a_secret_is_read_where_it_is_mounted() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    folder = container["volumeMounts"][0]["mountPath"]
    files = {f"{folder}/{item['path']}" for item in pod["volumes"][0]["secret"]["items"]}
    read = {one["value"] for one in container["env"] if one["name"].endswith("_FILE")}
    assert read == files


def test_the_scaling_and_the_budget_are_about_the_consumers() -> None:
    deployment, scaled = manifest("Deployment"), manifest("ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    [trigger] = scaled["triggers"]
    assert trigger["metadata"]["queueName"] == f"{Settings().namespace}.arrivals"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    budget = manifest("PodDisruptionBudget")["spec"]
    assert (
        budget["selector"]["matchLabels"] == labels == deployment["spec"]["selector"]["matchLabels"]
    )
    # Otherwise no node could be drained while the queue is short.
    assert scaled["minReplicaCount"] > budget["minAvailable"]
