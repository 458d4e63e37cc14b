"""The settings of the environment variables `Pop3__…`."""

import pytest

from relate_config import ConfigurationError, load
from relate_pop3.config import Pop3Settings
from tests.support.scripted import LOCAL, SECURE, STRANGER


def test_default_settings_serve_the_loopback_interface() -> None:
    settings = load(Pop3Settings, {})

    assert (settings.host, settings.port, settings.secure_port) == ("127.0.0.1", 2110, 2995)
    assert settings.session_timeout == 600
    assert [settings.allows_plaintext(peer) for peer in (SECURE, LOCAL, STRANGER)] == [True, True, False]


def test_settings_have_their_documented_names() -> None:
    names = [
        "Enabled",
        "ServerName",
        "Port",
        "SecurePort",
        "MaxConnectionsPerUser",
        "SessionTimeout",
        "CertificatePath",
    ]
    names += ["CertificateKeyPath", "PlaintextAuthentication", "Workers", "TrustedProxies"]
    names += ["MaxConnections", "MaxConnectionsPerAddress", "Host"]

    assert {field.alias for field in Pop3Settings.model_fields.values()} >= set(names)


@pytest.mark.parametrize(
    ("variable", "value"), [("Pop3__SessionTimeout", "599"), ("Pop3__Port", "65536"), ("Pop3__Prot", "110")]
)
def test_invalid_value_is_rejected_with_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(Pop3Settings, {variable: value})
