"""Reports of other servers, as they are written in practice (RFC 3464)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.delivery_reports import (
    MAX_GROUPS,
    MAX_REPORT_OCTETS,
    Action,
    DeliveryReport,
    ReportedRecipient,
    parse_report,
)

STATUS = """\
Reporting-MTA: dns; mx.example.com
Original-Envelope-Id: QQ314159

Original-Recipient: rfc822;Bob@example.com
Final-Recipient: RFC822; bob@inner.example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such
 user here
"""
BOB = ReportedRecipient(
    Action.FAILED, "5.1.1", "bob@inner.example.com", "Bob@example.com", "smtp; 550 5.1.1 No such user here"
)


def report(
    status: str | bytes = STATUS,
    *,
    multipart: str = "multipart/report; report-type=delivery-status",
    media_type: str = "message/delivery-status",
    encoding: str = "7bit",
    returned: str = "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\nMessage-ID: <1@here.example>\r\n",
) -> bytes:
    octets = status if isinstance(status, bytes) else status.replace("\n", "\r\n").encode()
    return (
        f'From: MAILER-DAEMON@mx.example.com\r\nContent-Type: {multipart}; boundary="b"\r\n\r\n'
        "--b\r\n\r\nYour mail failed.\r\n"
        f"--b\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
        + octets
        + f"\r\n--b\r\n{returned}\r\n--b--\r\n".encode()
    )


def recipients(status: str) -> tuple[ReportedRecipient, ...]:
    found = parse_report(report(status))
    return found.recipients if found is not None else ()


def test_a_report_is_read() -> None:
    assert parse_report(report()) == DeliveryReport("QQ314159", "1@here.example", (BOB,))


def test_line_ends_of_lf_are_accepted() -> None:
    assert parse_report(report().replace(b"\r\n", b"\n")) == DeliveryReport("QQ314159", "1@here.example", (BOB,))


@pytest.mark.parametrize(
    ("multipart", "media_type"),
    [
        ("multipart/mixed", "message/delivery-status"),
        ("multipart/report", "Message/Delivery-Status; charset=us-ascii"),
        ("multipart/report; report-type=delivery-status", "message/global-delivery-status"),  # RFC 6533 §4.4
    ],
)
def test_the_type_of_the_part_decides(multipart: str, media_type: str) -> None:
    assert parse_report(report(multipart=multipart, media_type=media_type)) == DeliveryReport(
        "QQ314159", "1@here.example", (BOB,)
    )


def test_a_transfer_encoding_is_decoded() -> None:
    encoded = base64.encodebytes(STATUS.replace("\n", "\r\n").encode())
    assert parse_report(report(encoded, encoding="base64")) == DeliveryReport("QQ314159", "1@here.example", (BOB,))


RETURNED = "Received: x\r\nMessage-ID: <1@here.example>\r\nSubject: x\r\n"


@pytest.mark.parametrize(
    ("part", "message_id"),
    [
        (f"Content-Type: message/rfc822\r\n\r\n{RETURNED}\r\ntext\r\n", "1@here.example"),
        (f"Content-Type: message/global\r\n\r\n{RETURNED}\r\ntext\r\n", "1@here.example"),
        (f"Content-Type: text/rfc822-headers\r\n\r\n{RETURNED}", "1@here.example"),
        (f"Content-Type: message/global-headers; charset=utf-8\r\n\r\n{RETURNED}", "1@here.example"),
        (
            "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(RETURNED.encode()).decode(),
            "1@here.example",
        ),
        ("Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: (a) <2@here.example>\r\n", "2@here.example"),
        ("Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n", ""),
        (f"Content-Type: text/plain\r\n\r\n{RETURNED}", ""),
        ("Content-Type: text/rfc822-headers\r\n\r\n" + "X: y\r\n" * 20_000 + RETURNED, ""),
    ],
)
def test_the_message_id_of_the_returned_message_is_read(part: str, message_id: str) -> None:
    found = parse_report(report(returned=part))
    assert found == DeliveryReport("QQ314159", message_id, (BOB,))


def test_a_report_within_another_multipart_is_found() -> None:
    outer = b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\n\r\nscanned\r\n--o\r\n%b\r\n--o--\r\n'
    assert parse_report(outer % report()) == DeliveryReport("QQ314159", "1@here.example", (BOB,))


def test_a_report_that_a_person_forwards_is_no_report() -> None:
    outer = (
        b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n%b\r\n--o--\r\n'
    )
    assert parse_report(outer % report()) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Subject: x\r\n\r\ntext\r\n",
        report(media_type="text/plain"),
        report(""),
        report("Reporting-MTA: dns; x\n"),
    ],
)
def test_other_mail_is_no_report(message: bytes) -> None:
    assert parse_report(message) is None


RFC_3464_EXAMPLES = [  # Appendix E
    (
        """\
Reporting-MTA: dns; cs.utk.edu

Original-Recipient: rfc822;louisl@larry.slip.umd.edu
Final-Recipient: rfc822;louisl@larry.slip.umd.edu
Action: failed
Status: 4.0.0
Diagnostic-Code: smtp; 426 connection timed out
Last-Attempt-Date: Thu, 7 Jul 1994 17:15:49 -0400
""",
        [(Action.FAILED, "4.0.0", "louisl@larry.slip.umd.edu")],
    ),
    (
        """\
Reporting-MTA: dns; cs.utk.edu

Original-Recipient: rfc822;arathib@vnet.ibm.com
Final-Recipient: rfc822;arathib@vnet.ibm.com
Action: failed
Status: 5.0.0 (permanent failure)
Diagnostic-Code: smtp;
 550 'arathib@vnet.IBM.COM' is not a registered gateway user
Remote-MTA: dns; vnet.ibm.com

Original-Recipient: rfc822;johnh@hpnjld.njd.hp.com
Final-Recipient: rfc822;johnh@hpnjld.njd.hp.com
Action: delayed
Status: 4.0.0 (hpnjld.njd.jp.com: host name lookup failure)

Original-Recipient: rfc822;wsnell@sdcc13.ucsd.edu
Final-Recipient: rfc822;wsnell@sdcc13.ucsd.edu
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 550 user unknown
Remote-MTA: dns; sdcc13.ucsd.edu
""",
        [
            (Action.FAILED, "5.0.0", "arathib@vnet.ibm.com"),
            (Action.DELAYED, "4.0.0", "johnh@hpnjld.njd.hp.com"),
            (Action.FAILED, "5.0.0", "wsnell@sdcc13.ucsd.edu"),
        ],
    ),
    (
        """\
Reporting-MTA: mailbus; SYS30

Final-Recipient: unknown; nair_s
Status: 5.0.0 (unknown permanent failure)
Action: failed
""",
        [(Action.FAILED, "5.0.0", "nair_s")],
    ),
    (
        """\
Reporting-MTA: dns; sun2.nsfnet-relay.ac.uk

Final-Recipient: rfc822;thomas@de-montfort.ac.uk
Status: 4.0.0 (unknown temporary failure)
Action: delayed
""",
        [(Action.DELAYED, "4.0.0", "thomas@de-montfort.ac.uk")],
    ),
]


@pytest.mark.parametrize(("status", "expected"), RFC_3464_EXAMPLES)
def test_the_examples_of_rfc_3464(status: str, expected: list[tuple[Action, str, str]]) -> None:
    assert [each[:3] for each in recipients(status)] == expected


ADDRESSES = [
    ("rfc822; bob@example.com", "bob@example.com"),
    ("RFC822;bob@example.com", "bob@example.com"),
    ("rfc822 ; <bob@example.com>", "bob@example.com"),
    ("bob@example.com", "bob@example.com"),
    ("<bob@example.com>", "bob@example.com"),
    ("utf-8; bøb@example.com", "bøb@example.com"),
    ('rfc822; "a;b"@example.com', '"a;b"@example.com'),
    ('"a;b"@example.com', '"a;b"@example.com'),
]


@pytest.mark.parametrize(("value", "address"), ADDRESSES)
def test_an_address_may_lack_its_type(value: str, address: str) -> None:  # RFC 3464 §2.3.2
    (recipient,) = recipients(f"Final-Recipient: {value}\nAction: failed\nStatus: 5.1.1\n")
    assert recipient.recipient == address


@pytest.mark.parametrize(
    ("fields", "action", "status"),
    [
        ("Action: failed\nStatus: 5.1.1", Action.FAILED, "5.1.1"),  # RFC 3464 §2.3.3
        ("Action: Delayed\nStatus: 4.4.1", Action.DELAYED, "4.4.1"),
        ("Action: relayed\nStatus: 2.0.0", Action.RELAYED, "2.0.0"),
        ("Action: delivered\nStatus: 2.0.0", Action.DELIVERED, "2.0.0"),
        ("Action: expanded\nStatus: 2.0.0", Action.EXPANDED, "2.0.0"),
        ("Action: FAILED (bounced)\nStatus: 5.1.1 (no such user)", Action.FAILED, "5.1.1"),
        ("Action: failed\nDiagnostic-Code: smtp; 550-5.7.26 no", Action.FAILED, "5.7.26"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no", Action.FAILED, "5.1.1"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 451 4.7.1 later", Action.FAILED, "5.0.0"),
        ("Action: failed\nStatus: 5.2.0\nDiagnostic-Code: smtp; 550 5.1.1 no", Action.FAILED, "5.2.0"),
        ("Action: failed", Action.FAILED, ""),
        ("Status: 5.2.2", Action.FAILED, "5.2.2"),
        ("Status: 4.2.2", Action.DELAYED, "4.2.2"),
        ("Action: gone\nStatus: 5.0.0", Action.FAILED, "5.0.0"),
        ("Action: failed\nStatus: unknown\nDiagnostic-Code: smtp; 550 from 5.1.1.9", Action.FAILED, ""),
    ],
)
def test_action_and_status_are_read_as_servers_write_them(fields: str, action: Action, status: str) -> None:
    (recipient,) = recipients(f"Final-Recipient: rfc822; bob@example.com\n{fields}\n")
    assert recipient[:2] == (action, status)


GROUPS = [
    "Final-Recipient: rfc822; a@b\nAction: failed\n\n\n \nFinal-Recipient: rfc822; c@d\nAction: delayed\n",
    "Reporting-MTA: dns; x\nFinal-Recipient: a@b\nAction: failed\nFinal-Recipient: c@d\nAction: delayed\n",
    "Reporting-MTA: dns; x\n\nAction: failed\nOriginal-Recipient: a@b\n\nx\nFinal-Recipient: c@d\naction:delayed",
]


@pytest.mark.parametrize("status", GROUPS)
def test_groups_may_lack_blank_lines_or_have_several(status: str) -> None:
    found = [(each.action, each.recipient or each.original_recipient) for each in recipients(status)]
    assert found == [(Action.FAILED, "a@b"), (Action.DELAYED, "c@d")]


def test_a_group_without_a_recipient_or_a_result_is_skipped() -> None:
    assert recipients("Action: failed\nStatus: 5.0.0\n\nFinal-Recipient: rfc822; a@b\n") == ()


def test_control_characters_are_replaced() -> None:
    (recipient,) = recipients("Final-Recipient: rfc822; a\x1b@b\nAction: failed\nDiagnostic-Code: x\0\x1b[2J\n")
    assert recipient.recipient == "a @b"
    assert recipient.diagnostic == "x  [2J"


def test_the_recipients_are_bounded() -> None:
    status = "Reporting-MTA: dns; x\n\n" + "Final-Recipient: a@b\nAction: failed\n\n" * (MAX_GROUPS + 10)
    assert len(recipients(status)) == MAX_GROUPS


def test_a_status_part_behind_the_limit_is_not_found() -> None:
    assert parse_report(report().replace(b"Your mail failed.", b"x\r\n" * MAX_REPORT_OCTETS)) is None


@given(st.binary(), st.sampled_from(["7bit", "base64", "quoted-printable"]))
def test_any_octets_are_read_without_an_error(status: bytes, encoding: str) -> None:
    found = parse_report(report(status, encoding=encoding))
    for recipient in found.recipients if found is not None else ():
        assert not any(control in text for text in recipient[1:] for control in "\0\r\n\x1b")


@given(st.integers(0, len(report())))
def test_a_truncated_report_is_read_as_far_as_it_goes(octets: int) -> None:
    found = parse_report(report()[:octets])
    assert found is None or len(found.recipients) == 1
