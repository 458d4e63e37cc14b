"""The phases of a shutdown fit into the time before Docker's SIGKILL, and the documented table is the code's."""

import ast
import re
from pathlib import Path

from relate_accounts.last_used import STOP_TIMEOUT_SECONDS
from relate_accounts.ratelimit import DELAY_SECONDS
from relate_service.resources import CLOSE_SECONDS
from relate_wire.server import SHUTDOWN_GRACE_SECONDS

ROOT = Path(__file__).parents[3]
DOCKER_STOP_SECONDS = 10.0
MARGIN_SECONDS = 1.0  # for starting the handlers, and for the end of the interpreter

_ROW = re.compile(r"\| (?P<seconds>\d+\.\d) \|.*\| (?P<constants>`\w+` in `.*) \|")
_CONSTANT = re.compile(r"`(?P<name>\w+)` in `(?P<path>[\w/.]+)`")


def budget() -> list[re.Match[str]]:
    page = (ROOT / "docs/architecture/README.md").read_text()
    return [row for line in page.splitlines() if (row := _ROW.fullmatch(line))]


def value_of(name: str, path: str) -> float:
    for node in ast.parse((ROOT / path).read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=value)) if target == name:
                return float(str(value))
    raise AssertionError(f"{path} has no {name}")


def test_the_documented_phases_are_the_constants() -> None:
    constants = [(row, constant) for row in budget() for constant in _CONSTANT.finditer(row["constants"])]
    assert [constant["name"] for _, constant in constants] == [
        "SHUTDOWN_GRACE_SECONDS",
        "SHUTDOWN_GRACE_SECONDS",
        "GRACE_SECONDS",
        "CANCEL_GRACE_SECONDS",
        "CLOSE_SECONDS",
        "ABORT_SECONDS",
        "SHUTDOWN_SECONDS",
    ]
    for row, constant in constants:
        assert value_of(constant["name"], constant["path"]) == float(row["seconds"])


def test_the_phases_fit_into_dockers_stop_timeout() -> None:
    assert sum(float(row["seconds"]) for row in budget()) <= DOCKER_STOP_SECONDS - MARGIN_SECONDS


def test_waits_within_a_phase_are_shorter_than_the_phase() -> None:
    assert STOP_TIMEOUT_SECONDS < CLOSE_SECONDS
    assert DELAY_SECONDS < SHUTDOWN_GRACE_SECONDS
