"""Imports at startup: `--help` and shell completion import nothing slow."""

import subprocess
import sys

import pytest

from relate import cli
from relate_config import private

# Libraries that are slow to import, and our packages that import them.
SLOW = (
    "alembic",
    "asyncpg",
    "cryptography",
    "fastapi",
    "grpc",
    "opentelemetry",
    "relate_config",
    "relate_mailstore",
    "relate_service",
    "relate_wire",
    "sqlalchemy",
    "structlog",
    "uvicorn",
    "uvloop",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["user", "remove", "--help"], ["serve", "--help"], ["--show-completion"]]
)
def test_help_imports_no_slow_module(arguments: list[str]) -> None:
    program = (
        "import atexit, sys; from relate.cli import main;"
        f" atexit.register(lambda: print('IMPORTED', sorted(set({SLOW!r}) & set(sys.modules)))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "IMPORTED []", done.stdout + done.stderr


def test_commands_and_services_use_the_same_umask() -> None:
    assert cli.PRIVATE_UMASK == private.UMASK
