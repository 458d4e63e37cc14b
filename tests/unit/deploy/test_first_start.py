"""The settings that are written at each start of the stack."""

from pathlib import Path

import pytest

from deploy.first_start import choose_plaintext_authentication
from relate_api.config import ApiSettings
from relate_config import load

MODE = "Api__PlaintextAuthentication__File"


@pytest.mark.parametrize(
    ("bind_address", "mode"),
    [
        ("127.0.0.1", "always"),
        ("127.0.0.53", "always"),
        ("::1", "always"),
        ("[::1]", "always"),
        ("0.0.0.0", "loopback"),
        ("[::]", "loopback"),
        ("192.0.2.1", "loopback"),
        ("localhost", "loopback"),  # a name may resolve to another address
        ("", "loopback"),
    ],
)
def test_plaintext_authentication_needs_a_port_on_loopback(tmp_path: Path, bind_address: str, mode: str) -> None:
    for _ in range(2):
        choose_plaintext_authentication(tmp_path, bind_address)
        settings = load(ApiSettings, {MODE: str(tmp_path / "api-plaintext-authentication")})
        assert settings.plaintext_authentication == mode


def test_another_address_replaces_the_setting(tmp_path: Path) -> None:
    for bind_address, mode in (("127.0.0.1", "always"), ("192.0.2.1", "loopback")):
        choose_plaintext_authentication(tmp_path, bind_address)
        assert (tmp_path / "api-plaintext-authentication").read_text() == mode
