"""The systemd unit and its settings, checked by systemd where it is installed."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relate.settings import Settings

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = FOLDER / "relate-mail.service"
EXPOSURE_TENTHS = 20
"""Of the 10 that `systemd-analyze security` gives a service without any sandbox."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_verifies_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/relate-mail/.venv/bin/relate", sys.executable))
    done = analyze("verify", "--man=no", str(unit))
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (ours, done.returncode) == ([], 0)


@needs_systemd
def test_the_sandbox_keeps_its_exposure_level() -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", str(UNIT))
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


def test_the_unit_reloads_by_sighup() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    assert unit["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit["Service"]["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"


def test_the_settings_are_valid_and_have_the_standard_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (FOLDER / "relate.env").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)
    settings = Settings()
    smtp, pop3, imap, api = settings.smtp, settings.pop3, settings.imap, settings.api
    assert (smtp.mx_port, smtp.port, smtp.secure_port) == (25, 587, 465)
    assert (pop3.port, pop3.secure_port, imap.port, imap.secure_port) == (110, 995, 143, 993)
    assert api.secure_port == 443
    services = (smtp, pop3, imap, api)
    assert {service.host for service in services} == {"::"}
    assert {service.plaintext_authentication for service in services} == {"loopback"}
    assert {str(service.certificate_path) for service in services} == {"/etc/relate-mail/tls/fullchain.pem"}
