"""The product as an operator runs it: `relate serve` in a separate process, and the `relate` command.

    with Product(tmp_path, Smtp__Workers="2") as product:
        key = product.add_user("alice@example.test")
        product.start()
        with product.pop3("alice@example.test", key) as client: …

Ports are free ones, reserved until the end. Leaving the block stops the server and asserts exit status 0 and, with
`responsive.WATCHDOG_SETTINGS` among the settings, that no callback blocked an event loop.
"""

import json
import os
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import structlog
from typer.testing import CliRunner, Result

from relate.cli import app
from relate_service.watchdog import SlowCallback
from tests.support import output
from tests.support.output import Output
from tests.support.responsive import check_responsive, slow_callbacks

HOST = "127.0.0.1"
ADDRESS = "alice@example.test"
ALL_SCOPES = ("smtp", "pop3", "imap", "api:read", "api:write", "app")

PORTS = (
    "Smtp__Port",
    "Smtp__SecurePort",
    "Smtp__MxPort",
    "Pop3__Port",
    "Pop3__SecurePort",
    "Imap__Port",
    "Imap__SecurePort",
    "Api__Port",
    "Api__SecurePort",
)

READY = "Relate Mail is ready"  # printed when all ports accept connections
TIMEOUT_SECONDS = output.TIMEOUT_SECONDS
STOP_LIMIT_SECONDS = 10.0  # container runtimes kill after that


class Product:
    """A directory, a database and a set of ports. `settings` are environment variables."""

    def __init__(self, directory: Path, database: str | None = None, **settings: str) -> None:
        self._ports = ExitStack()
        self.directory = directory
        self.ports = {name: reserve_port(self._ports) for name in PORTS}
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "COLUMNS": "200",  # Rich folds tables to the width of the terminal
            "ConnectionStrings__DefaultConnection": database or f"sqlite:///{directory}/relate.db",
            **{name: str(port) for name, port in self.ports.items()},
            **settings,
        }
        self.stdout, self.stderr = Output(), Output()
        self.slow: list[SlowCallback] = []  # callbacks that blocked an event loop, with responsive.WATCHDOG_SETTINGS
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._ports:
            if error is None:
                self.stop()
            self.kill()
            if error is None:
                check_responsive(self.slow)

    # --- the server

    def start(self, *arguments: str) -> None:
        """Run `relate serve …` (`all`, `smtp`, `--demo`); returns when it is ready."""
        self.launch("serve", *arguments)
        if not self.stderr.wait_for(READY):
            raise AssertionError(f"the server did not start: {self.stderr.text}")
        if arguments[:1] in ((), ("all",), ("api",), ("--demo",)):
            httpx.get(f"{self.api_url}/healthz/ready", timeout=TIMEOUT_SECONDS).raise_for_status()

    def launch(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `relate` process without waiting for it."""
        self.stdout, self.stderr = Output(), Output()
        self._process = process = subprocess.Popen(
            self._command(*arguments),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.stdout.follow(process.stdout)
        self.stderr.follow(process.stderr)
        return process

    def stop(self) -> float:
        """Send SIGTERM and assert exit status 0; returns the seconds that the stop took. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return 0.0
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_LIMIT_SECONDS)
        finally:
            self._finish(process)
        assert status == 0, f"exit status {status}: {self.stderr.text}"
        return time.monotonic() - began

    def kill(self) -> None:
        """Send SIGKILL, as if the machine lost power. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            self._finish(process)

    @property
    def process_id(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """Standard output and error of the server since its start."""
        return self.stdout.text + self.stderr.text

    def _finish(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        self.stdout.close()
        self.stderr.close()
        self.slow += slow_callbacks(self.stderr.text)

    # --- the command line

    def relate(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `relate` to its end, with any exit status. `settings` apply to this run only."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.directory,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def relate_in_process(self, *arguments: str, **settings: str) -> Result:
        """The same in this process, to save the imports, and in a thread, because a loop may run in this one."""
        environment = {**self.environment, **settings}
        configured = structlog.get_config()  # the command configures logging to the runner's console
        try:
            with ThreadPoolExecutor(1) as threads:
                run = threads.submit(CliRunner().invoke, app, arguments, env=environment, catch_exceptions=False)
                return run.result()
        finally:
            structlog.configure(**configured)

    def relate_json(self, *arguments: str) -> Any:
        """Run `relate … --json` and parse its output. Asserts exit status 0."""
        done = self.relate_in_process(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def add_user(self, address: str = ADDRESS, *options: str, scopes: Sequence[str] = ALL_SCOPES) -> str:
        """Add a user with a key; returns the key. `options` are `relate user add`'s."""
        self.relate_json("user", "add", address, *options)
        return self.create_key(address, scopes)

    def create_key(self, address: str = ADDRESS, scopes: Sequence[str] = ALL_SCOPES, name: str = "laptop") -> str:
        """Create another key; returns it."""
        scope_options = [option for scope in scopes for option in ("--scope", scope)]
        key: str = self.relate_json("key", "create", address, "--name", name, *scope_options)["key"]
        return key

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "relate", *arguments]

    # --- clients

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return f"http://{HOST}:{self.ports['Api__Port']}"

    def tls(self) -> ssl.SSLContext:
        """A client context that trusts only the server's development certificates, one for each server name."""
        certificates = (self.directory / "var" / "tls").glob("*.pem")
        return ssl.create_default_context(cadata="".join(path.read_text() for path in certificates))

    @contextmanager
    def submission(self, address: str = ADDRESS, key: str | None = None) -> Iterator[smtplib.SMTP]:
        """A submission client after STARTTLS, logged in if a key is given."""
        with smtplib.SMTP(HOST, self.ports["Smtp__Port"], "client.example.test", timeout=TIMEOUT_SECONDS) as client:
            client.starttls(context=self.tls())
            if key is not None:
                client.login(address, key)
            yield client

    @contextmanager
    def mx(self) -> Iterator[smtplib.SMTP]:
        """An SMTP client on the port for incoming mail."""
        with smtplib.SMTP(HOST, self.ports["Smtp__MxPort"], "mx.example.org", timeout=TIMEOUT_SECONDS) as client:
            yield client

    @contextmanager
    def pop3(self, address: str = ADDRESS, key: str | None = None) -> Iterator[poplib.POP3]:
        """A POP3 client over TLS, logged in if a key is given; sends QUIT at the end."""
        client = poplib.POP3_SSL(HOST, self.ports["Pop3__SecurePort"], context=self.tls(), timeout=TIMEOUT_SECONDS)
        try:
            if key is not None:
                client.user(address)
                client.pass_(key)
            yield client
            client.quit()
        finally:
            client.close()

    def api(self, key: str | None = None) -> httpx.Client:
        """An API client with that key, to be used as a context manager."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"{self.api_url}/api/external", headers=headers, timeout=TIMEOUT_SECONDS)


def reserve_port(until: ExitStack) -> int:
    """A free port, reserved until the stack is closed by a socket that is bound and does not listen."""
    sock = until.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, 0))
    port: int = sock.getsockname()[1]
    return port
