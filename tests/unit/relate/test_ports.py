"""What the banner and the doctor say of ports: of all that is served, and of nothing else."""

import pytest

from relate import banner, doctor
from relate.settings import Settings

IMAP_PORTS = {2143, 2993}


@pytest.fixture(params=[True, False], ids=["with IMAP", "without IMAP"])
def has_imap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    for module in (banner, doctor):
        monkeypatch.setattr(module, "HAS_IMAP", request.param)
    return bool(request.param)


def test_imap_is_named_where_there_is_a_server_for_it(has_imap: bool) -> None:
    named = IMAP_PORTS if has_imap else set()
    assert {port for *_, port, _ in banner._rows(Settings(), ("smtp", "imap"))} & IMAP_PORTS == named
    assert {port for *_, port in doctor._ports(Settings())} & IMAP_PORTS == named
    assert [section.prefix for section in doctor._sections(Settings())][2:] == ["Imap"] * has_imap


def test_the_doctor_does_not_look_for_what_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("Pop3", "Imap", "Api"):
        monkeypatch.setenv(f"{prefix}__Enabled", "false")
    assert {port for *_, port in doctor._ports(Settings())} == {2525, 2587, 2465}
    assert [section.prefix for section in doctor._sections(Settings())] == ["Smtp"]
