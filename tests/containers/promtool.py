"""Runs promtool, from Prometheus' image, on our rules."""

import subprocess
from pathlib import Path

from tests.containers import prerequisites
from tests.containers.prerequisites import ROOT

TIMEOUT_SECONDS = 300.0  # eight hours of all rules take a minute
PROMETHEUS = ROOT / "deploy" / "prometheus"


def require_promtool() -> str:
    """Return the image with promtool; skip the test, with the reason, where it is missing."""
    prerequisites.require(prerequisites.missing())
    return prerequisites.images()["prometheus"]


def promtool(*arguments: str, directory: Path = PROMETHEUS) -> str:
    """Run promtool in a directory and return its output. An error of promtool fails the test with that output."""
    mount = [f"--volume={directory}:/rules:ro", "--workdir=/rules", "--network=none"]
    command = ["docker", "run", "--rm", *mount, "--entrypoint=promtool", require_promtool(), *arguments]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout + completed.stderr
