"""The examples run against the developers' mode, where their tools are installed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from relate_mail.testing import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
TIMEOUT_SECONDS = 280  # Go compiles its standard library at the first run

pytestmark = [pytest.mark.xdist_group("developers"), pytest.mark.timeout(300)]


def execute(folder: Path, command: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, with any exit status; standard output includes standard error."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run(folder: str, command: Sequence[str], **settings: str) -> str:
    """Run an example to its end; returns its output. Asserts exit status 0."""
    done = execute(EXAMPLES / folder, command, **settings)
    assert done.returncode == 0, done.stdout
    return done.stdout


def reached(server: Server) -> dict[str, str]:
    """The variables by which the examples in other languages find the server."""
    ports = server.ports
    return {"RELATE_HOST": server.host, "RELATE_SMTP_PORT": str(ports.smtp), "RELATE_API_PORT": str(ports.http)}


def pytest_command() -> list[str]:
    """pytest as a developer of another project runs it, without this project's options."""
    return [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", "-q"]


def test_pytest() -> None:
    output = run("pytest", pytest_command(), RELATE_TESTING="process", OTEL_SDK_DISABLED="true")
    assert "4 passed" in output


def test_playwright() -> None:
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    if not Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).exists():
        pytest.skip("there is no Chromium")
    output = run("playwright", pytest_command(), RELATE_TESTING="process", OTEL_SDK_DISABLED="true")
    assert "1 passed" in output


def test_go(server: Server) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    output = run("go", ["go", "test", "-count=1", "-v", "./..."], **reached(server))
    assert "--- PASS: TestSignUpMailsACode" in output


def test_java(server: Server, tmp_path: Path) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("mvn is not installed")
    project = tmp_path / "java"
    shutil.copytree(EXAMPLES / "java", project)
    done = execute(project, ["mvn", "--offline", "--batch-mode", "test"], **reached(server))  # tests have no network
    if done.returncode and "offline mode" in done.stdout:
        pytest.skip("the artefacts are not in Maven's local repository: run `mvn test` in examples/java once")
    assert "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0" in done.stdout, done.stdout
