"""The replies to errors."""

import pytest

from relate_accounts.errors import AccountError, AccountsUnavailable
from relate_mailstore.errors import MailboxNotFound, MaildropInUse, MessageNotFound, StoreError, StoreUnavailable
from relate_pop3 import replies
from relate_pop3.maildrop import NoSuchMessage
from relate_wire.ports import Farewell
from relate_wire.reply import NextStep, Outcome
from relate_wire.sasl import SaslCancelled

TABLE: list[tuple[Exception, bytes, Outcome]] = [
    (MaildropInUse("marked"), b"-ERR [IN-USE] ", Outcome.REFUSED),
    (MessageNotFound("marked"), b"-ERR Message was expunged", Outcome.REFUSED),
    (NoSuchMessage("No such message"), b"-ERR No such message\r\n", Outcome.REFUSED),
    (SaslCancelled("Authentication cancelled"), b"-ERR Authentication cancelled\r\n", Outcome.REFUSED),
    (StoreUnavailable("marked"), b"-ERR [SYS/TEMP] ", Outcome.FAILED),
    (AccountsUnavailable("marked"), b"-ERR [SYS/TEMP] ", Outcome.FAILED),
    (MailboxNotFound("marked"), b"-ERR [SYS/PERM] ", Outcome.FAILED),
    (StoreError("marked"), b"-ERR [SYS/PERM] ", Outcome.FAILED),
    (AccountError("marked"), b"-ERR [SYS/PERM] ", Outcome.FAILED),
    (ValueError("marked"), b"-ERR [SYS/PERM] ", Outcome.FAILED),
]


@pytest.mark.parametrize(("error", "head", "outcome"), TABLE, ids=lambda value: type(value).__name__)
def test_error_is_mapped_to_a_generic_reply(error: Exception, head: bytes, outcome: Outcome) -> None:
    reply = replies.from_error(error, NextStep.CLOSE)

    assert reply.head.startswith(head)
    assert b"marked" not in reply.head
    assert (reply.outcome, reply.code, reply.then) == (outcome, "-ERR", NextStep.CLOSE)


@pytest.mark.parametrize("reason", Farewell)
def test_farewell_is_an_error_or_empty(reason: Farewell) -> None:
    assert replies.FAREWELLS[reason] == b"" or replies.FAREWELLS[reason].startswith(b"-ERR ")


def test_autologout_sends_nothing() -> None:
    assert replies.FAREWELLS[Farewell.IDLE] == b""
