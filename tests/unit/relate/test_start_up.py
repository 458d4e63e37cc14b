"""What the command line imports before a command runs: help and completion answer at once."""

import subprocess
import sys

import pytest

from relate import cli
from relate_config import private

# Libraries that take long to import, and packages of ours that import them.
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
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    program = (
        "import atexit, sys; from relate.cli import main;"
        f" atexit.register(lambda: print('IMPORTED', sorted(set({SLOW!r}) & set(sys.modules)))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "IMPORTED []", done.stdout + done.stderr


def test_the_umask_of_commands_is_that_of_services() -> None:
    assert cli.PRIVATE_UMASK == private.UMASK
