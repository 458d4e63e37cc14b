"""Text of strangers does not change the structure of a report, whatever it contains."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime.delivery_reports import parse_report
from relate_relay.reports.rules import MAX_RETURNED_OCTETS
from relate_relay.reports.types import DeliveryResult, Kind, ReportedMessage
from tests.support.examples import examples
from tests.unit.relay.reports.reports import (
    MESSAGE,
    explanation_of,
    has_expected_structure,
    message_with,
    status_groups,
    write,
)

PIECES = (
    "\r\n", "\n", "\r", "\0", "\x1b[2J", "\x85", "\u2028", "\u202e", "\ud800", " ", "  ", "\t", "--=_", "=?utf-8?q?a?=",
    "Action: delivered", "\r\n\r\n--", "<", ">", '"', "\\", ";", ":", "@", "é", "😀", "a" * 1_200, " " * 1_200,
    "é" * 600,
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4))).map("".join))
RESULTS = st.builds(
    DeliveryResult,
    address=TEXTS,
    kind=st.sampled_from(Kind),
    status=TEXTS,
    reply=TEXTS,
    error=TEXTS,
    remote_mta=TEXTS,
    attempted_at=st.one_of(st.none(), st.floats(0, 4e9)),
    orcpt=st.one_of(TEXTS, TEXTS.map("rfc822;{}".format), TEXTS.map("utf-8;{}".format)),
)
MESSAGES = st.builds(
    lambda sender, content, ret, envid: message_with(content, sender=sender, ret=ret, envid=envid),
    TEXTS.filter(bool),
    st.one_of(
        st.binary(),
        TEXTS.map(lambda text: f"Subject: {text}\r\nMessage-ID: <{text}>\r\n\r\n{text}".encode(errors="replace")),
    ),
    st.sampled_from(["", "HDRS", "FULL"]),
    TEXTS,
)


@settings(max_examples=examples(300))
@given(MESSAGES, st.lists(RESULTS, min_size=1, max_size=4))
def test_no_text_breaks_the_structure(message: ReportedMessage, results: list[DeliveryResult]) -> None:
    raw = write(*results, message=message)
    assert has_expected_structure(raw)
    groups = status_groups(raw)
    assert len(groups) == 1 + len(results)
    assert sorted(group["Action"] for group in groups[1:]) == sorted(result.kind.value for result in results)


@given(TEXTS)
def test_no_reply_leaves_its_quotation(reply: str) -> None:
    before = explanation_of(write())
    result = DeliveryResult("bob@example.com", Kind.FAILED, "5.1.1", reply=reply or "x", remote_mta="mx.example.com")
    lines = explanation_of(write(result)).splitlines()
    assert [line for line in lines if not line.startswith(">")] == [
        line for line in before.splitlines() if not line.startswith(">")
    ]


@given(st.lists(RESULTS, min_size=1, max_size=4))
def test_our_reports_can_be_read(results: list[DeliveryResult]) -> None:
    results = [replace(result, address=f"{number}@example.com") for number, result in enumerate(results)]
    report = parse_report(write(*results, message=replace(MESSAGE, envid="QQ314159")))
    assert report is not None
    assert report.envelope_id == "QQ314159"
    assert sorted((each.recipient, each.action.value) for each in report.recipients) == sorted(
        (result.address, result.kind.value) for result in results
    )


def test_the_size_of_a_report_is_bounded() -> None:
    result = DeliveryResult("é" * 10_000, Kind.FAILED, "5.1.1", "é" * 10_000, "", "é" * 10_000, 0.0, "", "é" * 10_000)
    content = b"Subject: x\r\n" * 50_000
    raw = write(*(replace(result, error=f"{number}") for number in range(1_000)), message=message_with(content))
    assert len(raw) < 1_000_000
    assert len(raw) > MAX_RETURNED_OCTETS
