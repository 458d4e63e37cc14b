"""promtool, which is in Prometheus' image: it reads our rules as Prometheus does."""

import subprocess
from pathlib import Path

from tests.containers import prerequisites
from tests.containers.prerequisites import ROOT

LIMIT = 120.0  # seconds
PROMETHEUS = ROOT / "deploy" / "prometheus"


def require_promtool() -> str:
    """The image it is in; skips the test, saying why, where that is missing."""
    prerequisites.require(prerequisites.trouble())
    return prerequisites.images()["prometheus"]


def promtool(*arguments: str, directory: Path = PROMETHEUS) -> str:
    """Run it over the files of a directory, in which it starts; what it says. Fails with that when promtool does."""
    mount = [f"--volume={directory}:/rules:ro", "--workdir=/rules", "--network=none"]
    command = ["docker", "run", "--rm", *mount, "--entrypoint=promtool", require_promtool(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
