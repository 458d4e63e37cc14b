"""What the stack needs of this machine, and what is missing: said before anything is started.

Nothing is pulled in a test: `docker compose pull` is for whoever runs them to say.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REQUIRE = "RELATE_REQUIRE_CONTAINERS"  # set where these tests must run: what they would skip for is a failure then
ANSWER_SECONDS = 20

_BASE = re.compile(r"^FROM (\S+:\S+)", re.MULTILINE)

OPTIONAL = frozenset({"grafana"})
"""Services that the others do without."""


def trouble(overrides: Collection[str] = ()) -> str | None:
    """Why the stack cannot be started here, None when it can."""
    return no_engine() or _missing_images(overrides)


def no_engine() -> str | None:
    """Why there is no Docker with Compose here, None when there is."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        if subprocess.run(command, capture_output=True, check=False, timeout=ANSWER_SECONDS).returncode:
            return f"`{' '.join(command)}` fails"
    return None


def _missing_images(overrides: Collection[str]) -> str | None:
    needed = [image for name, image in images(overrides).items() if name not in OPTIONAL]
    missing = sorted(image for image in {*needed, *base_images()} if not is_here(image))
    return f"not here: {', '.join(missing)}; try: docker compose pull" if missing else None


def require(reason: str | None) -> None:
    """Skip the test, or fail it where it must run, if there is a reason to."""
    if reason is None:
        return
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, but {reason}", pytrace=False)
    pytest.skip(reason)


def services(overrides: Collection[str] = ()) -> frozenset[str]:
    """The services that can run here."""
    everything = config(overrides)["services"].items()
    missing = {name for name in OPTIONAL if name in dict(everything) and not is_here(dict(everything)[name]["image"])}
    return frozenset(name for name, _ in everything) - missing


def images(overrides: Collection[str] = ()) -> dict[str, str]:
    """The image of each service that is not built from our source."""
    return {name: each["image"] for name, each in config(overrides)["services"].items() if "build" not in each}


def base_images() -> list[str]:
    """What our own images are built on."""
    return _BASE.findall((ROOT / "deploy" / "Dockerfile").read_text())


def is_here(image: str) -> bool:
    """Whether the engine has this image."""
    command = ["docker", "image", "inspect", image]
    return not subprocess.run(command, capture_output=True, check=False, timeout=ANSWER_SECONDS).returncode


def config(overrides: Iterable[str] = ()) -> Any:
    """What Compose makes of our files."""
    files = [option for file in ("compose.yaml", *overrides) for option in ("--file", file)]
    command = ["docker", "compose", *files, "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=True, timeout=ANSWER_SECONDS)
    return json.loads(done.stdout)
