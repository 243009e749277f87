"""The schemas of the Prometheus operator's resources, which a package has that was made of its definitions.

The package is kept out of the environment of the tests, as it brings a plugin for pytest.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from tests.support.servers import ROOT

REQUIREMENT = "cloudcoil-models-prometheus-operator==0.80.1.0"

FOLDER = ROOT / "build" / REQUIREMENT.replace("==", "-")

PROGRAM = """\
import json, sys
from cloudcoil.models.prometheus_operator import v1
print(json.dumps({kind: getattr(v1, kind).model_json_schema(by_alias=True) for kind in sys.argv[1:]}))
"""

KINDS = ("ServiceMonitor", "PodMonitor", "Probe", "PrometheusRule")


def errors(resource: Mapping[str, Any]) -> list[str]:
    """Return what the schema of its kind has against a resource."""
    schema = _schemas()[resource["kind"]]
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(resource)]


@functools.cache
def _schemas() -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(_installed())}
    command = [sys.executable, "-c", PROGRAM, *KINDS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return {kind: _strict(schema) for kind, schema in json.loads(done.stdout).items()}


def _strict(schema: Any) -> Any:
    """Return a schema whose objects have no fields but those that it knows, as the API server holds it when asked."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


def _installed() -> pathlib.Path:
    """Return where the package is, having installed it; without it the test is skipped, or fails where it has to be."""
    if not (FOLDER / "installed").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(FOLDER), REQUIREMENT]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            end = pytest.fail if os.environ.get("REQUIRE_SERVICES") == "1" else pytest.skip
            end(f"{REQUIREMENT} cannot be installed: {done.stderr[-500:]}")
        (FOLDER / "installed").touch()
    return FOLDER
