"""What the banner and the doctor say of ports: of all that is served, and of nothing else."""

import pytest

from relate import banner, doctor
from relate.settings import Settings

PORTS = {2143, 2993, 8080, 8443}


def test_the_ports_of_all_services_are_named() -> None:
    assert {port for *_, port, _ in banner._rows(Settings(), ("smtp", "imap", "api"))} >= PORTS
    assert {port for *_, port in doctor._ports(Settings())} >= PORTS
    assert [section.prefix for section in doctor._sections(Settings())] == ["Smtp", "Pop3", "Imap", "Api"]


def test_the_doctor_does_not_look_for_what_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("Pop3", "Imap", "Api"):
        monkeypatch.setenv(f"{prefix}__Enabled", "false")
    assert {port for *_, port in doctor._ports(Settings())} == {2525, 2587, 2465}
    assert [section.prefix for section in doctor._sections(Settings())] == ["Smtp"]
