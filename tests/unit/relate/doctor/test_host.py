"""Ports on which no process listens."""

import os
import socket

import pytest

from relate.doctor.host import _check_port
from relate_service.findings import Level


async def test_a_port_that_another_process_has_taken() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        host, port = bound.getsockname()
        finding = await _check_port("imap", host, port)
    assert (finding.level, finding.remedy) == (Level.ERROR, "choose another port or host")
    assert finding.text == f"{host}:{port}: Address already in use"


@pytest.mark.parametrize("host", ["imap.invalid", "192.0.2.1"])
async def test_a_service_on_another_host_is_not_started_here(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> bool:
        return False

    monkeypatch.setattr("relate.doctor.host._accepts_connections", refused)
    finding = await _check_port("imap", host, 2143)
    assert finding.remedy == "start the service, or choose another host"
    assert "no process is listening" in finding.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind any port")
async def test_a_port_that_only_the_service_may_bind() -> None:
    assert (await _check_port("imap", "127.0.0.1", 1)).remedy in ("start the service", "run: relate serve")
