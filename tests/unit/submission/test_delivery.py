"""The delivery of a message to its accounts, mail loops, traceparent fields."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from relate_accounts.types import Recipient, User, UserId
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.types import AccountId, Destination
from relate_submission.delivery import prepare_delivery
from relate_submission.envelope import AcceptedRecipient, Envelope
from relate_submission.header import Header
from relate_submission.message import MAX_HOPS, find_message_id, find_traceparent, has_looped

HOP = b"Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n"


ALICE = User(UserId(7), "alice@b", "", datetime.now(UTC))


def envelope(*users: int, outgoing: Sequence[str] = ()) -> Envelope:
    accepted = [AcceptedRecipient(f"u{user}@b", Recipient(UserId(user), f"u{user}@b", None)) for user in users]
    to = [OutgoingRecipient(address, address.partition("@")[2], notify="NEVER") for address in outgoing]
    return Envelope("alice@b", accepted, to, ret="HDRS", envid="e+2B1", is_8bit=True, is_utf8=True)


def test_account_with_several_addresses_is_one_destination() -> None:
    delivery = prepare_delivery(envelope(3, 1, 3, 2, 1), None, b"raw", "")

    assert delivery.raw == b"raw"
    assert delivery.destinations == tuple(Destination(AccountId(number)) for number in (3, 1, 2))
    assert delivery.outgoing is None


def test_recipients_elsewhere_have_the_envelope_of_the_user() -> None:
    sent = envelope(3, outgoing=["bob@c", "eve@d"])
    delivery = prepare_delivery(sent, ALICE, b"raw", "1@b")

    assert delivery.destinations == (Destination(AccountId(3)),)
    assert delivery.outgoing == Outgoing(
        "alice@b",
        tuple(sent.outgoing),
        AccountId(7),
        "HDRS",
        "e+2B1",
        is_8bit=True,
        is_utf8=True,
        header_message_id="1@b",
    )


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Message-ID: <a@b>", "a@b"),
        ("message-id:\r\n <a@b> (comment)", "a@b"),
        ("Message-ID: a@b", ""),
        ("Message-ID: <a b>\r\nMessage-ID: <c@d>", "c@d"),
        ("Message-ID: <" + "x" * 2000 + ">", ""),
        ("Subject: <a@b>", ""),
    ],
)
def test_the_message_id_is_found(field: str, expected: str) -> None:
    assert find_message_id(Header(f"{field}\r\n\r\n".encode())) == expected


@pytest.mark.parametrize(
    ("hops", "looped"), [(0, False), (MAX_HOPS, False), (MAX_HOPS + 1, True), (MAX_HOPS * 2, True)]
)
def test_loop_is_detected_by_the_number_of_received_fields(hops: int, looped: bool) -> None:
    assert has_looped(Header(HOP * hops + b"\r\n" + HOP * 200)) is looped
    assert has_looped(Header(b"Subject: x\r\n" + HOP.upper() * hops + b"\r\n")) is looped
    assert has_looped(Header(HOP * hops)) is looped


@pytest.mark.parametrize("line", [b"X-Received: a\r\n", b"Subject: a\r\n received: b\r\n"])
def test_other_fields_are_not_counted_as_received(line: bytes) -> None:
    assert not has_looped(Header(line * (MAX_HOPS + 1) + b"\r\n"))


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "field", [f"traceparent: {TRACEPARENT}", f"TraceParent:{TRACEPARENT} ", f"Traceparent :\t{TRACEPARENT}\t"]
)
def test_traceparent_is_found_in_any_spelling_of_its_field(field: str) -> None:
    content = f"Subject: x\r\n{field}\r\nTo: a@b\r\n\r\ntext\r\n".encode()
    assert find_traceparent(Header(content)) == TRACEPARENT
    assert find_traceparent(Header(f"{field}\r\n\r\n".encode())) == TRACEPARENT


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Subject: x\r\n\r\ntext\r\n",
        f"Subject: x\r\n\r\ntraceparent: {TRACEPARENT}\r\n",
        f"Subject: x\r\n traceparent: {TRACEPARENT}\r\n\r\n",
        f"X-Traceparent: {TRACEPARENT}\r\n\r\n",
        f"traceparent: {TRACEPARENT.upper()}\r\n\r\n",
        f"traceparent: {TRACEPARENT}-extra\r\n\r\n",
        f"traceparent: {TRACEPARENT[:-1]}\r\n\r\n",
    ],
)
def test_malformed_traceparent_is_ignored(content: str) -> None:
    assert find_traceparent(Header(content.encode())) is None


def test_first_well_formed_traceparent_is_returned() -> None:
    other = TRACEPARENT.replace("4bf9", "ffff")
    content = f"traceparent: nonsense\r\ntraceparent: {TRACEPARENT}\r\ntraceparent: {other}\r\n\r\n"
    assert find_traceparent(Header(content.encode())) == TRACEPARENT
