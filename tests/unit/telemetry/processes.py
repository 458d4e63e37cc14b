"""Runs Python code in a separate process, because providers, environment and exit are global to a process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_SECONDS = 60.0  # two to start, five for the slowest shutdown, the rest for a loaded machine

NO_VARIABLES: Mapping[str, str] = {}
PREAMBLE = """
import json, os, sys
from relate_config import load
from relate_telemetry.ports import CommandResult, EndReason, NoTelemetry
from relate_telemetry.setup import Telemetry, TelemetrySettings, add_relate_telemetry
from tests.support.telemetry.endpoints import ENDPOINTS
def converse(telemetry, commands=1):
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    session.greeted()
    for _ in range(commands):
        with session.command("NOOP", "transaction") as command:
            command.finish(CommandResult("ok", "+OK", received=6, sent=5))
    session.end(EndReason.CLOSED)
def start(**arguments):
    settings = TelemetrySettings(endpoint=os.environ.get("Otel__Endpoint"), verbose=True)
    return add_relate_telemetry(settings, "relate-pop3", **arguments)
"""


def start_python(code: str, environ: Mapping[str, str], *, instrumented: bool = False) -> "subprocess.Popen[str]":
    """Start `code` after PREAMBLE, with these variables and no other variable of telemetry."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("OTEL")}
    launcher = [str(Path(sys.executable).with_name("opentelemetry-instrument"))] if instrumented else []
    return subprocess.Popen(
        [*launcher, sys.executable, "-c", PREAMBLE + code],
        env=clean | dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Wait for a process to exit with status 0, and return what it wrote to stdout and to stderr."""
    with process:
        out, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, errors
    return out, errors


def run_python(code: str, environ: Mapping[str, str] = NO_VARIABLES, *, instrumented: bool = False) -> tuple[str, str]:
    """Run `code` and return what it wrote to stdout and to stderr."""
    return finish(start_python(code, environ, instrumented=instrumented))
