"""The form of every reply (RFC 5321 §4.2, RFC 2034 §4)."""

import re
from collections.abc import Mapping
from uuid import UUID

import pytest

from relate_mailstore.queue_types import Excess, SendingLimit
from relate_mailstore.types import AssignedUid, MessageId, Receipt, Uid
from relate_smtp import replies
from relate_wire.lines import LineFault
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome, Reply

FROM_FUNCTIONS = [
    replies.goodbye("mail.example.net"),
    replies.chunk_received(12),
    replies.accepted(Receipt(MessageId(UUID(int=1)), (AssignedUid(1, Uid(1)),)), 0.5),
    replies.accepted(
        Receipt(MessageId(UUID(int=1)), (), excess=Excess(SendingLimit(86_400, 1_000), 1_001, is_told=True)), 0.5
    ),
]


def every_reply() -> list[Reply]:
    values = [value for value in vars(replies).values() if isinstance(value, Reply | Mapping)]
    found = list(FROM_FUNCTIONS)
    for value in values:
        found += [value] if isinstance(value, Reply) else [item for item in value.values() if isinstance(item, Reply)]
    return found


@pytest.mark.parametrize("reply", every_reply(), ids=lambda reply: reply.head[:30].decode())
def test_reply_has_code_enhanced_code_and_text(reply: Reply) -> None:
    match = re.fullmatch(rb"([245]\d\d) ([245])\.\d\.\d+ [ -~]+\r\n", reply.head)

    assert match is not None
    assert match[1].decode() == reply.code
    assert match[1][:1] == match[2]
    assert len(reply.head) <= 512
    assert (reply.outcome is Outcome.OK) == (match[2] == b"2")


def test_only_errors_of_the_server_are_failures() -> None:
    failed = [reply.code for reply in every_reply() if reply.outcome is Outcome.FAILED]

    assert sorted(failed) == ["451", "454"]


@pytest.mark.parametrize("fault", LineFault)
def test_every_line_fault_has_a_reply(fault: LineFault) -> None:
    assert replies.LINE_FAULTS[fault].code == "500"


@pytest.mark.parametrize("fault", [LineFault.TOO_LONG, LineFault.BARE_LF, LineFault.BARE_CR])
def test_every_content_fault_has_a_reply(fault: LineFault) -> None:
    assert replies.CONTENT_FAULTS[fault].outcome is Outcome.REFUSED


@pytest.mark.parametrize("reason", Farewell)
def test_every_farewell_is_a_421(reason: Farewell) -> None:
    assert re.fullmatch(rb"421 4\.\d\.\d mail\.example\.net [ -~]+\r\n", replies.farewell("mail.example.net", reason))


def test_busy_reply_is_a_421() -> None:
    assert replies.BUSY.startswith(b"421 4.7.0 ")
    assert replies.BUSY.endswith(b"\r\n")


def test_greeting_and_hello_have_no_enhanced_code() -> None:
    assert replies.greeting("a.example").head == b"220 a.example ESMTP Relate Mail\r\n"
    assert replies.hello("a.example").head == b"250 a.example\r\n"
    assert replies.hello("a.example", ("HELP", "SIZE 1")).head == b"250-a.example\r\n250-HELP\r\n250 SIZE 1\r\n"


def test_reply_has_facts_and_next_step() -> None:
    assert FROM_FUNCTIONS[2].facts == Facts(messages_received=1, processing=0.5)
    assert FROM_FUNCTIONS[2].head == b"250 2.6.0 Accepted as 00000000-0000-0000-0000-000000000001\r\n"
    assert FROM_FUNCTIONS[0].then is NextStep.CLOSE
