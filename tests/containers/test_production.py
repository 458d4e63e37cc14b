"""The template for a host on the Internet is valid for Compose, and publishes the standard ports."""

import json
import os
import subprocess
from typing import Any

from tests.containers.prerequisites import ROOT, TIMEOUT_SECONDS, no_engine, require

PUBLISHED = {"smtp": {"25", "465", "587"}, "pop3": {"110", "995"}, "imap": {"143", "993"}, "api": {"443"}}
DIRECTORY = "/etc/relate-mail/tls"


def compose_config(**environment: str) -> subprocess.CompletedProcess[str]:
    require(no_engine())
    files = ["-f", "compose.yaml", "-f", "deploy/compose.production.yaml"]
    command = ["docker", "compose", *files, "config", "--format", "json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    settings = {**clean, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


def test_standard_ports_are_published_and_certificates_mounted() -> None:
    completed = compose_config(CERTIFICATE_DIRECTORY=DIRECTORY, SERVER_NAME="mail.example.org")
    assert completed.returncode == 0, completed.stderr
    services: dict[str, Any] = json.loads(completed.stdout)["services"]
    for name, ports in PUBLISHED.items():
        service = services[name]
        assert {port["published"] for port in service["ports"]} == ports
        assert service["environment"][f"{name.capitalize()}__ServerName"] == "mail.example.org"
        assert service["environment"][f"{name.capitalize()}__CertificatePath"] == "/run/certificates/fullchain.pem"
        sources = {volume["source"]: volume for volume in service["volumes"]}
        assert sources[DIRECTORY]["target"] == "/run/certificates"
        assert sources[DIRECTORY]["read_only"]
    others = [port for name in services.keys() - PUBLISHED for port in services[name].get("ports", [])]
    assert {port["host_ip"] for port in others} == {"127.0.0.1"}


def test_a_missing_certificate_directory_is_named() -> None:
    completed = compose_config(CERTIFICATE_DIRECTORY="")
    assert completed.returncode != 0
    assert "CERTIFICATE_DIRECTORY" in completed.stderr
