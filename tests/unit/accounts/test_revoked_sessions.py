"""All protocols watch their sessions from login to end."""

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from relate_accounts.types import Revoked
from relate_imap.session import ImapEngine
from relate_pop3.context import Context
from relate_pop3.session import Pop3Engine
from relate_smtp.context import Role
from tests.support.imap.engine import context_of
from tests.support.scripted import LOCAL, Connection
from tests.unit.smtp.smtp_fixtures import SmtpBackend, connect

ADDRESS, KEY = "ann@example.net", "tanstaaf"
PLAIN = base64.b64encode(f"\0{ADDRESS}\0{KEY}".encode())

AnyConnection = Connection[Any, Any]


def smtp(office: SmtpBackend) -> AnyConnection:
    return connect(office.context(Role.SUBMISSION), LOCAL)


def pop3(office: SmtpBackend) -> AnyConnection:
    context = Context(office.store, office.authenticator, "dewey", lambda _: True, starttls_available=True)
    return Connection(partial(Pop3Engine, context=context), LOCAL)


def imap(office: SmtpBackend) -> AnyConnection:
    return Connection(partial(ImapEngine, context=context_of(office)), LOCAL)


LOGINS: list[tuple[Callable[[SmtpBackend], AnyConnection], bytes, bytes]] = [
    (smtp, b"EHLO client.example.org\r\nAUTH PLAIN " + PLAIN + b"\r\n", b"421 4.7.0 "),
    (pop3, b"AUTH PLAIN " + PLAIN + b"\r\n", b"-ERR [AUTH] "),
    (imap, b"a AUTHENTICATE PLAIN " + PLAIN + b"\r\n", b"* BYE [EXPIRED] "),
]

every_protocol = pytest.mark.parametrize(("open_connection", "login", "farewell"), LOGINS, ids=["smtp", "pop3", "imap"])


@pytest.fixture
async def office() -> SmtpBackend:
    office = SmtpBackend()
    await office.add_user(ADDRESS, KEY)
    return office


@every_protocol
async def test_revoking_a_key_ends_its_session(
    office: SmtpBackend, open_connection: Callable[[SmtpBackend], AnyConnection], login: bytes, farewell: bytes
) -> None:
    connection = open_connection(office)
    await connection.say(login)
    user = await office.accounts.user_by_address(ADDRESS)
    (key,) = await office.accounts.keys(user.id)
    assert office.authenticator.enforce(Revoked(frozenset({key.id}))) == 1
    await connection.settle()
    assert connection.take().startswith(farewell)
    assert connection.closed
    assert len(office.authenticator._sessions) == 0


@every_protocol
async def test_a_closed_session_is_no_longer_watched(
    office: SmtpBackend, open_connection: Callable[[SmtpBackend], AnyConnection], login: bytes, farewell: bytes
) -> None:
    connection = open_connection(office)
    await connection.settle()
    assert len(office.authenticator._sessions) == 0
    await connection.say(login)
    assert len(office.authenticator._sessions) == 1
    await connection.disconnect()
    assert len(office.authenticator._sessions) == 0


async def test_a_login_discarded_by_starttls_is_no_longer_watched(office: SmtpBackend) -> None:
    connection = smtp(office)
    await connection.say(LOGINS[0][1])
    assert len(office.authenticator._sessions) == 1
    await connection.say(b"STARTTLS\r\n")
    assert len(office.authenticator._sessions) == 0
