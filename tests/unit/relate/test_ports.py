"""Ports in the startup banner and in the doctor's checks: those of enabled services."""

import pytest

from relate import startup_banner
from relate.doctor import host
from relate.settings import Settings

PORTS = {2143, 2993, 8080, 8443}


def test_the_ports_of_all_services_are_listed() -> None:
    assert {port for *_, port, _ in startup_banner._rows(Settings(), ("smtp", "imap", "api"))} >= PORTS
    assert {port for *_, port in host._listed_ports(Settings())} >= PORTS
    assert [section.prefix for section in host._enabled_sections(Settings())] == ["Smtp", "Pop3", "Imap", "Api"]


def test_the_doctor_skips_disabled_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("Pop3", "Imap", "Api"):
        monkeypatch.setenv(f"{prefix}__Enabled", "false")
    assert {port for *_, port in host._listed_ports(Settings())} == {2525, 2587, 2465}
    assert [section.prefix for section in host._enabled_sections(Settings())] == ["Smtp"]
