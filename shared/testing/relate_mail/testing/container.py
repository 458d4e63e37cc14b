"""A server in a container."""

import json
from dataclasses import replace
from importlib.metadata import version

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from relate_mail.testing.server import Ports, Server, parse_ready

IMAGE = f"relate-mail/relate:{version('relate-mail-testing')}"
START_SECONDS = 60
_READY = '"adminKey"'  # in the line of `relate dev --json`

# The ports in the container, as the image exposes them.
_PORTS = Ports(smtp=2587, smtps=2465, mx=2525, pop3=2110, pop3s=2995, imap=2143, imaps=2993, http=8080, https=8443)


class RelateContainer(DockerContainer):
    """`relate dev` in a container of Testcontainers. As a context manager its value is the `Server`.

    `arguments` are further ones of `relate dev`; settings are environment variables, by `with_env`.
    """

    def __init__(self, image: str = IMAGE, arguments: str = "") -> None:
        super().__init__(image)
        self.with_command(f"dev --json {arguments}".strip())
        self.with_exposed_ports(*_PORTS)
        self.waiting_for(LogMessageWaitStrategy(_READY).with_startup_timeout(START_SECONDS))

    def __enter__(self) -> Server:  # type: ignore[override]
        self.start()
        return self.server

    @property
    def server(self) -> Server:
        """Where the started server is reached from this machine."""
        output, _ = self.get_logs()
        line = next(line for line in output.decode().splitlines() if _READY in line)
        server = parse_ready(json.loads(line))
        ports = Ports(*(int(self.get_exposed_port(port)) for port in _PORTS))
        return replace(server, host=self.get_container_host_ip(), ports=ports)
