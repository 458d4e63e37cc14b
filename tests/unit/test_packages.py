"""The members are released together: one version, one licence, the same metadata."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from relate_mail.testing import IMAGE

ROOT = Path(__file__).parents[2]
MEMBERS = sorted([*ROOT.glob("shared/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")])
MEMBER_KEYS = ("version", "requires-python", "license", "authors", "classifiers")
WORKSPACE_KEYS = ("version", "requires-python", "license", "authors")


def project(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(path.read_text())["project"]
    return table


@pytest.mark.parametrize("path", MEMBERS, ids=lambda path: path.parent.name)
def test_a_member_has_the_metadata_of_all_members(path: Path) -> None:
    member, first = project(path), project(MEMBERS[0])
    assert {key: member[key] for key in MEMBER_KEYS} == {key: first[key] for key in MEMBER_KEYS}
    assert member["description"].endswith(".")


def test_the_workspace_has_the_version_and_licence_of_its_members() -> None:
    workspace, member = project(ROOT / "pyproject.toml"), project(MEMBERS[0])
    assert {key: workspace[key] for key in WORKSPACE_KEYS} == {key: member[key] for key in WORKSPACE_KEYS}


def test_the_stack_runs_images_of_the_members_version() -> None:
    (version,) = re.findall(r"^RELATE_VERSION=(.+)$", (ROOT / ".env").read_text(), re.MULTILINE)
    assert version == project(MEMBERS[0])["version"]


@pytest.mark.parametrize("name", ["docs/developers.md", "examples/java/src/test/java/org/example/RelateContainer.java"])
def test_documents_and_examples_name_the_image_of_the_members_version(name: str) -> None:
    tags = re.findall(r"relate-mail/relate:([0-9.]*)", (ROOT / name).read_text())
    assert set(tags) == {project(MEMBERS[0])["version"]}


def test_the_module_for_tests_runs_the_image_of_its_version() -> None:
    assert f"relate-mail/relate:{project(MEMBERS[0])['version']}" == IMAGE


@pytest.mark.parametrize("path", MEMBERS, ids=lambda path: path.parent.name)
def test_a_member_has_the_licence_for_its_wheel(path: Path) -> None:
    assert (path.parent / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_classifiers_name_all_supported_pythons() -> None:
    oldest = int(project(MEMBERS[0])["requires-python"].removeprefix(">=3."))
    named = re.findall(r"Python :: 3\.(\d+)", " ".join(project(MEMBERS[0])["classifiers"]))
    assert [int(minor) for minor in named] == list(range(oldest, 15))
