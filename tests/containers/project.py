"""One Compose project of a test's own: our files as users get them, with ports and a name that collide with nobody's.

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

COMMAND_SECONDS = 120
EVERY_SCOPE = ("smtp", "pop3", "imap", "api:read", "api:write", "app")

NO_SCALE: Mapping[str, int] = {}

_PORT = re.compile(r"^(\w+)_PORT=", re.MULTILINE)


class Project(Clients):
    """Up inside of `with`, gone with its volumes after it. `settings` are variables of `.env`."""

    def __init__(
        self, directory: Path, overrides: Sequence[str] = (), scale: Mapping[str, int] = NO_SCALE, **settings: str
    ) -> None:
        self.name = f"relate-test-{secrets.token_hex(4)}"
        self.services = prerequisites.services(overrides)
        """What runs, by name."""
        super().__init__(free_ports())
        environment = directory / f"{self.name}.env"
        ports = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        variables = {"COMPOSE_PROJECT_NAME": self.name, **ports, **settings}
        environment.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
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
        """Run a Compose command to its end; what it prints. `overrides` and `settings` are for this command alone."""
        further = [option for file in overrides for option in ("-f", file)]
        command = [*self._compose.docker_compose_command(), *further, *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-4000:]}"
        return done.stdout

    def up(self, *services: str, overrides: Sequence[str] = (), **settings: str) -> None:
        """Start services, or start them anew where their configuration is another one; healthy when this returns."""
        options = ("--wait", "--no-build", "--pull=never", *self._scale)
        self.compose("up", *options, *services, overrides=overrides, **settings)

    def query(self, statements: str) -> str:
        """Have the database do something, by the back door; what it says."""
        return self.compose("exec", "--no-TTY", "postgres", "psql", "--username=relate", "--command", statements)

    def down(self) -> None:
        """Remove everything, data too."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=10")

    def stop(self, *services: str) -> None:
        """Ask them to end, and wait for that."""
        self.compose("stop", *services)

    def start(self, *services: str) -> None:
        """Start them again; healthy when this returns."""
        self.compose("start", *services)
        self.compose("up", "--wait", "--no-recreate", "--no-deps", *services)

    def containers(self, service: str) -> list[str]:
        """The ids of those of its containers that run."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, service: str) -> Any:
        """What the engine knows of its container, or of the first of several."""
        (known, *_) = json.loads(docker("inspect", *self.compose("ps", "--all", "--quiet", service).split()))
        return known

    def memory(self, service: str) -> int:
        """Octets that its container takes."""
        text = docker("stats", "--no-stream", "--format={{.MemUsage}}", *self.containers(service))
        return max(parse_size(line.partition("/")[0]) for line in text.splitlines())

    # --- the `relate` command

    def relate(self, *arguments: str) -> str:
        """Run it to its end, as the README says it; what it prints."""
        return self.compose("run", "--rm", "--no-TTY", "--quiet-pull", "relate", *arguments)

    def add_user(self, address: str, *options: str, scopes: Sequence[str] = EVERY_SCOPE) -> str:
        """Add a user and a key; the key."""
        self.relate("user", "add", address, *options)
        return self.create_key(address, scopes)

    def create_key(self, address: str, scopes: Sequence[str] = EVERY_SCOPE) -> str:
        """A further key."""
        wanted = [option for scope in scopes for option in ("--scope", scope)]
        made = json.loads(self.relate("key", "create", address, "--name", "laptop", *wanted, "--json"))
        key: str = made["key"]
        return key

    # --- where it answers

    @cached_property
    def certificate(self) -> str:
        """The one that was made at the first start."""
        return self.compose("exec", "--no-TTY", "smtp", "cat", "var/tls/localhost.pem")

    @property
    def prometheus_url(self) -> str:
        return f"http://{HOST}:{self.ports['prometheus']}"

    @property
    def jaeger_url(self) -> str:
        return f"http://{HOST}:{self.ports['jaeger']}"

    @property
    def grafana_url(self) -> str | None:
        """None where its image is missing."""
        return f"http://{HOST}:{self.ports['grafana']}" if "grafana" in self.services else None


def free_ports() -> dict[str, int]:
    """A free port for each that `.env` publishes: `smtp_mx`, `pop3_secure`, `jaeger`, …"""
    names = _PORT.findall((ROOT / ".env").read_text())
    with ExitStack() as held:
        sockets = {name.lower(): held.enter_context(socket.create_server((HOST, 0))) for name in names}
        return {name: each.getsockname()[1] for name, each in sockets.items()}


def docker(*arguments: str) -> str:
    """Run a command of the engine's; what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def parse_size(text: str) -> int:
    """`49.5MiB` in octets."""
    units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
    for unit, octets in units.items():
        with suppress(ValueError):
            return int(float(text.strip().removesuffix(unit)) * octets)
    raise ValueError(f"no size: {text!r}")
