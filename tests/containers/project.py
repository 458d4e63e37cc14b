"""A Compose project for tests: our files, with a unique name and free ports.

with Project(tmp_path) as project:
    key = project.add_user("alice@example.test")
    with project.mx() as client: …
"""

import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testcontainers.compose import DockerCompose

from tests.containers import prerequisites
from tests.containers.clients import HOST, Clients
from tests.containers.prerequisites import ROOT
from tests.containers.waiting import eventually

COMMAND_SECONDS = 120
EVERY_SCOPE = ("smtp", "pop3", "imap", "api:read", "api:write", "app")

NO_SCALE: Mapping[str, int] = {}

_PORT = re.compile(r"^(\w+)_PORT=", re.MULTILINE)


class Project(Clients):
    """Started on entry, removed with its volumes on exit. `settings` are variables of `.env`."""

    def __init__(
        self, directory: Path, overrides: Sequence[str] = (), scale: Mapping[str, int] = NO_SCALE, **settings: str
    ) -> None:
        self.name = f"relate-test-{secrets.token_hex(4)}"
        self.services = prerequisites.services(overrides)
        """The names of the services that run."""
        super().__init__(free_ports())
        environment = directory / f"{self.name}.env"
        ports = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.variables = {"COMPOSE_PROJECT_NAME": self.name, **ports, **settings}
        """What differs from `.env`."""
        environment.write_text("".join(f"{name}={value}\n" for name, value in self.variables.items()))
        self._compose = DockerCompose(
            ROOT,
            ["compose.yaml", *overrides],
            build=True,
            env_file=[".env", str(environment)],
            services=sorted(self.services),
        )
        self._scale = [f"--scale={name}={number}" for name, number in scale.items()]

    def __enter__(self) -> Self:
        try:
            self._compose.start()
            if self._scale:
                self.up(*sorted(self.services))
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # --- the project

    def compose(self, *arguments: str, overrides: Sequence[str] = (), **settings: str) -> str:
        """Run a Compose command and return its output. `overrides` and `settings` are for this command only."""
        files = [option for file in overrides for option in ("-f", file)]
        command = [*self._compose.docker_compose_command(), *files, *arguments]
        completed = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert completed.returncode == 0, f"{' '.join(arguments)}: {completed.stderr[-4000:]}"
        return completed.stdout

    def up(self, *services: str, overrides: Sequence[str] = (), **settings: str) -> None:
        """Start services, or recreate them if their configuration changed, and wait until they are healthy."""
        options = ("--wait", "--no-build", "--pull=never", *self._scale)
        self.compose("up", *options, *services, overrides=overrides, **settings)

    def query(self, statements: str) -> str:
        """Run SQL statements with psql and return its output."""
        return self.compose("exec", "--no-TTY", "postgres", "psql", "--username=relate", "--command", statements)

    def down(self) -> None:
        """Remove containers, networks and volumes.

        Docker releases the network of a container that was killed some time after it has removed the container. Docker
        20.10 sometimes never does, if the container was started again meanwhile: then a network without containers
        remains.
        """
        try:
            eventually(self._is_down)
        except AssertionError as error:
            if docker("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self.name}"):
                raise
            print(f"a network of {self.name} remains: {error}")

    def _is_down(self) -> bool:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=10")
        return True

    def stop(self, *services: str) -> None:
        """Stop services and wait for their end."""
        self.compose("stop", *services)

    def start(self, *services: str) -> None:
        """Start stopped services and wait until they are healthy."""
        self.compose("start", *services)
        self.compose("up", "--wait", "--no-recreate", "--no-deps", *services)

    def containers(self, service: str) -> list[str]:
        """The ids of the running containers of a service."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, service: str) -> Any:
        """Inspect the container of a service, or the first of several."""
        (container, *_) = json.loads(docker("inspect", *self.compose("ps", "--all", "--quiet", service).split()))
        return container

    def memory(self, service: str) -> int:
        """The memory of a service's container in octets, the largest of several."""
        text = docker("stats", "--no-stream", "--format={{.MemUsage}}", *self.containers(service))
        return max(parse_size(line.partition("/")[0]) for line in text.splitlines())

    # --- the `relate` command

    def relate(self, *arguments: str) -> str:
        """Run the `relate` command, as in the README, and return its output."""
        return self.compose("run", "--rm", "--no-TTY", "--quiet-pull", "relate", *arguments)

    def add_user(self, address: str, *options: str, scopes: Sequence[str] = EVERY_SCOPE) -> str:
        """Create a user with a key, and return the key."""
        self.relate("user", "add", address, *options)
        return self.create_key(address, scopes)

    def create_key(self, address: str, scopes: Sequence[str] = EVERY_SCOPE) -> str:
        """Create a further key of a user."""
        options = [option for scope in scopes for option in ("--scope", scope)]
        created = json.loads(self.relate("key", "create", address, "--name", "laptop", *options, "--json"))
        key: str = created["key"]
        return key

    # --- endpoints

    @cached_property
    def certificate(self) -> str:
        """The development certificate of the first start."""
        return self.compose("exec", "--no-TTY", "smtp", "cat", "var/tls/localhost.pem")

    @property
    def prometheus_url(self) -> str:
        return f"http://{HOST}:{self.ports['prometheus']}"

    @property
    def jaeger_url(self) -> str:
        return f"http://{HOST}:{self.ports['jaeger']}"

    @property
    def grafana_url(self) -> str | None:
        """The URL of Grafana, None where its image is missing."""
        return f"http://{HOST}:{self.ports['grafana']}" if "grafana" in self.services else None


def free_ports() -> dict[str, int]:
    """A free port for each published port in `.env`: `smtp_mx`, `pop3_secure`, `jaeger`, …"""
    names = _PORT.findall((ROOT / ".env").read_text())
    with ExitStack() as stack:
        sockets = {name.lower(): stack.enter_context(socket.create_server((HOST, 0))) for name in names}
        return {name: each.getsockname()[1] for name, each in sockets.items()}


def docker(*arguments: str) -> str:
    """Run a Docker command and return its output."""
    completed = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert completed.returncode == 0, f"{' '.join(arguments)}: {completed.stderr}"
    return completed.stdout


def parse_size(text: str) -> int:
    """Parse a size such as `49.5MiB`, to octets."""
    units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
    for unit, octets in units.items():
        with suppress(ValueError):
            return int(float(text.strip().removesuffix(unit)) * octets)
    raise ValueError(f"not a size: {text!r}")
