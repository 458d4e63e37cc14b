"""Checks the requirements of the stack, Docker and images, before anything is started.

Tests pull no images; run `docker compose pull` before.
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
REQUIRE = "RELATE_REQUIRE_CONTAINERS"  # set where these tests must run: a reason to skip is a failure then
TIMEOUT_SECONDS = 20

_BASE = re.compile(r"^FROM (\S+:\S+)", re.MULTILINE)

OPTIONAL = frozenset({"grafana"})
"""Services that the others do not need."""


def missing(overrides: Collection[str] = ()) -> str | None:
    """The reason why the stack cannot be started here, None when it can."""
    return no_engine() or _missing_images(overrides)


def no_engine() -> str | None:
    """The reason why Docker with Compose cannot be used, None when it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        if subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_SECONDS).returncode:
            return f"`{' '.join(command)}` fails"
    return None


def _missing_images(overrides: Collection[str]) -> str | None:
    needed = [image for name, image in images(overrides).items() if name not in OPTIONAL]
    absent = sorted(image for image in {*needed, *base_images()} if not is_present(image))
    return f"missing images: {', '.join(absent)}; try: docker compose pull" if absent else None


def require(reason: str | None) -> None:
    """Skip the test if there is a reason, or fail it where it must run."""
    if reason is None:
        return
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, but {reason}", pytrace=False)
    pytest.skip(reason)


def require_optional(image: str) -> None:
    """Skip the test if an image is missing that the stack runs without."""
    if not is_present(image):
        pytest.skip(f"the image is missing; try: docker pull {image}")


def services(overrides: Collection[str] = ()) -> frozenset[str]:
    """The services that can run here."""
    configured = config(overrides)["services"]
    absent = {name for name in OPTIONAL if name in configured and not is_present(configured[name]["image"])}
    return frozenset(configured) - absent


def images(overrides: Collection[str] = ()) -> dict[str, str]:
    """The image of each service that is not built from our source."""
    return {name: each["image"] for name, each in config(overrides)["services"].items() if "build" not in each}


def base_images() -> list[str]:
    """The base images of our own images."""
    return _BASE.findall((ROOT / "deploy" / "Dockerfile").read_text())


def is_present(image: str) -> bool:
    """Whether the engine has this image."""
    command = ["docker", "image", "inspect", image]
    return not subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_SECONDS).returncode


def config(overrides: Iterable[str] = (), profile: str = "") -> Any:
    """The configuration that Compose reads from our files; profile `*` includes every service."""
    files = [option for file in ("compose.yaml", *overrides) for option in ("--file", file)]
    command = ["docker", "compose", *files, f"--profile={profile}", "config", "--format", "json"]
    completed = subprocess.run(command, capture_output=True, cwd=ROOT, check=True, timeout=TIMEOUT_SECONDS)
    return json.loads(completed.stdout)
