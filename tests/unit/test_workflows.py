"""Workflows call targets of the Makefile and pinned actions; the Makefile names existing files."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):.*?## ", (ROOT / "Makefile").read_text(), re.MULTILINE))

STEP = re.compile(r"(?:sudo )?make (?P<target>[a-z-]+)(?: [A-Z]+=\S+)*")
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+(?:\.\d+)*")


def jobs(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load(path.read_text())["jobs"].values()


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path):
        yield from job.get("steps", ())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_steps_call_targets_of_the_makefile(path: Path) -> None:
    commands = [step["run"] for step in steps(path) if "run" in step]
    targets = {command: (match := STEP.fullmatch(command)) and match["target"] for command in commands}
    assert commands
    assert {command: target for command, target in targets.items() if target not in TARGETS} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_the_version_behind_it(path: Path) -> None:
    used = re.findall(r"\buses: (.+)", path.read_text())
    assert used
    assert [action for action in used if not (action.startswith("./") or PINNED.fullmatch(action))] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_can_only_read_the_repository(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in jobs(path))


def test_tests_run_on_each_python_that_the_packages_name() -> None:
    member = tomllib.loads((ROOT / "services" / "relate" / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(member["classifiers"]))
    (matrix,) = [job["strategy"]["matrix"]["python"] for path in WORKFLOWS for job in jobs(path) if "strategy" in job]
    assert matrix == named


def test_the_makefile_declares_its_targets_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(phony.replace("\\\n", " ").split()) == TARGETS


def test_tests_that_quick_leaves_out_exist() -> None:
    (names,) = re.findall(r"^SLOW_TESTS +:= ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    left_out = names.replace("\\\n", " ").split()
    assert left_out
    assert [name for name in left_out if not (ROOT / "tests" / "unit" / name).exists()] == []
