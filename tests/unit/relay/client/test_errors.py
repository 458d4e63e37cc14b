"""Errors: one printable line, without credentials."""

import pytest

from relate_relay.client import errors
from relate_relay.client.redaction import OMITTED, without_secrets
from relate_relay.client.replies import ServerReply, Violation
from relate_relay.client.timeouts import GREETING, Timeouts

HOSTILE = ServerReply(550, "5.7.1", ("5.7.1 no\x1b[2J", "\u202ereally"))

ERRORS = [
    errors.ConnectFailed(errors.ConnectFault.TIMEOUT, "192.0.2.1", 25),
    errors.TlsFailed(errors.TlsFault.CERTIFICATE, "mismatch\n\x1b"),
    errors.TlsFailed(errors.TlsFault.INJECTED),
    errors.ProtocolViolation(Violation.NO_CODE, "MAIL"),
    errors.Disconnected(errors.DisconnectFault.TIMEOUT, "DATA"),
    errors.Refused("GREETING", HOSTILE),
    errors.LoginFailed(errors.LoginFault.REFUSED, HOSTILE),
    errors.LoginFailed(errors.LoginFault.NO_TLS),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_an_error_is_one_printable_line(error: errors.ClientError) -> None:
    assert str(error).isprintable()
    assert str(error)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_the_status_of_an_error_has_the_class_of_its_duration(error: errors.ClientError) -> None:
    assert error.status.startswith("4." if error.temporary else "5.")


@pytest.mark.parametrize(("code", "temporary"), [(421, True), (450, True), (554, False)])
def test_a_refusal_is_temporary_if_its_reply_is(code: int, temporary: bool) -> None:
    assert errors.Refused("EHLO", ServerReply(code, "", ("",))).temporary is temporary


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("5.7.8 wrong", "5.7.8 wrong"),
        ("unknown command sesame-sesame", OMITTED),
        ("unknown command: AGFubgBzZXNhbWU=", OMITTED),
        ("cut in the middle: AGFubgBzZX", OMITTED),
    ],
)
def test_a_reply_that_quotes_the_credentials_is_omitted(line: str, shown: str) -> None:
    reply = without_secrets(ServerReply(500, "", ("first", line)), ["sesame-sesame", "AGFubgBzZXNhbWU="])
    assert (reply.code, reply.lines[-1]) == (500, shown)


@pytest.mark.parametrize(
    ("verb", "seconds"),
    [
        (GREETING, 300), ("MAIL", 300), ("RCPT", 300), ("DATA", 120), ("CONTENT", 600), ("BDAT", 600), ("EHLO", 300),
        ("QUIT", 5),
    ],
)  # fmt: skip
def test_the_timeouts_are_those_of_rfc_5321_section_4_5_3_2(verb: str, seconds: float) -> None:
    assert Timeouts().of(verb) == seconds
    assert Timeouts().block_seconds == 180
