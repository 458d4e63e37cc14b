"""The settings of the environment variables `Smtp__…`."""

import pytest

from relate_config import ConfigurationError, load
from relate_submission.config import SmtpSettings
from tests.support.scripted import LOCAL, SECURE, STRANGER


def test_default_settings_serve_the_loopback_interface() -> None:
    settings = load(SmtpSettings, {})

    assert (settings.host, settings.port, settings.secure_port, settings.mx_port) == ("127.0.0.1", 2587, 2465, 2525)
    assert settings.session_timeout == 300
    assert settings.require_authentication
    assert settings.max_message_size_bytes == 50 * 1024 * 1024
    assert [settings.allows_plaintext(peer) for peer in (SECURE, LOCAL, STRANGER)] == [True, True, False]


def test_settings_have_their_documented_names() -> None:
    names = """Enabled ServerName Host Port SecurePort MxPort RequireAuthentication MaxMessageSizeBytes CertificatePath
        CertificateKeyPath PlaintextAuthentication SessionTimeout Workers TrustedProxies MaxConnections
        MaxConnectionsPerAddress MaxRecipients"""

    assert {field.alias for field in SmtpSettings.model_fields.values()} >= set(names.split())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("Smtp__Port", "65536"),
        ("Smtp__Prot", "25"),
        ("Smtp__MaxMessageSizeBytes", "0"),
        ("Smtp__MaxRecipients", "many"),
        ("Smtp__Workers", "0"),
        ("Smtp__ServerName", "mail.example.net\r\nX-Evil: 1"),
        ("Smtp__ServerName", ""),
    ],
)
def test_invalid_value_is_rejected_with_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(SmtpSettings, {variable: value})
