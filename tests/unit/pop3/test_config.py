"""`Pop3__…` in the environment."""

import pytest

from relate_config import ConfigurationError, load
from relate_pop3.config import Pop3Settings
from tests.support.scripted import LOCAL, SECURE, STRANGER


def test_defaults_serve_this_machine_only() -> None:
    settings = load(Pop3Settings, {})

    assert (settings.host, settings.port, settings.secure_port) == ("127.0.0.1", 2110, 2995)
    assert settings.session_timeout == 600
    assert [settings.allows_plaintext(peer) for peer in (SECURE, LOCAL, STRANGER)] == [True, True, False]


def test_names_are_those_of_the_design() -> None:
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
def test_what_cannot_be_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(Pop3Settings, {variable: value})
