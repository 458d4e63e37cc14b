"""The state machine of a mail transaction (RFC 5321 §3.3): groups of commands, and the outcome of each recipient."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_relay.client.capabilities import NO_CAPABILITIES, Capabilities
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.errors import Disconnected, DisconnectFault, ProtocolViolation, Refused
from relate_relay.client.replies import ServerReply, Violation, enhanced_code
from relate_relay.client.results import Outcome, RecipientResult, Unsendable
from relate_relay.client.transaction import MAX_GROUP_COMMANDS, Content, Transaction
from tests.support.examples import examples

PIPELINING = Capabilities(pipelining=True)
CHUNKING = Capabilities(pipelining=True, chunking=True)
LOST = Disconnected(DisconnectFault.RESET, "DATA")

ACCEPTED, TEMPORARY, PERMANENT = Outcome.ACCEPTED, Outcome.TEMPORARY, Outcome.PERMANENT


def reply(line: str) -> ServerReply:
    code, _, text = line.partition(" ")
    return ServerReply(int(code), enhanced_code(int(code), text), (text,))


def envelope(recipients: int = 1) -> Envelope:
    return Envelope("a@b.example", tuple(Recipient(f"r{number}@c.example") for number in range(recipients)))


def verbs(action: object) -> list[str]:
    assert isinstance(action, tuple)
    return [command.verb for command in action]


def run(transaction: Transaction, *replies: str) -> list[object]:
    """Perform all actions with these replies; returns the verbs of each group, and how the content was sent."""
    rest = list(replies)
    actions: list[object] = []
    while (action := transaction.next_action()) is not None:
        if isinstance(action, Content):
            actions.append(action)
            transaction.content_sent()
            transaction.receive(reply(rest.pop(0)))
            continue
        actions.append(verbs(action))
        while transaction.awaited:
            transaction.receive(reply(rest.pop(0)))
    assert rest == []
    return actions


def outcomes(transaction: Transaction) -> list[tuple[Outcome, str]]:
    return [(result.outcome, result.command) for result in transaction.results()]


# --- groups (RFC 2920)


def test_mail_rcpt_and_data_are_one_group_with_pipelining() -> None:
    transaction = Transaction(envelope(2), PIPELINING)
    actions = run(transaction, "250 ok", "250 ok", "250 ok", "354 go", "250 2.6.0 done")
    assert actions == [["MAIL", "RCPT", "RCPT", "DATA"], Content.DATA]
    assert outcomes(transaction) == [(ACCEPTED, "CONTENT")] * 2
    assert not transaction.needs_reset


def test_without_pipelining_each_command_awaits_its_reply() -> None:
    transaction = Transaction(envelope(2), NO_CAPABILITIES)
    actions = run(transaction, "250 ok", "250 ok", "250 ok", "354 go", "250 done")
    assert actions == [["MAIL"], ["RCPT"], ["RCPT"], ["DATA"], Content.DATA]


def test_chunks_need_no_data_command_rfc_3030_section_2() -> None:
    transaction = Transaction(envelope(2), CHUNKING)
    assert run(transaction, "250 ok", "250 ok", "250 ok", "250 done") == [["MAIL", "RCPT", "RCPT"], Content.CHUNKS]
    assert outcomes(transaction) == [(ACCEPTED, "BDAT")] * 2


def test_a_group_is_bounded_and_data_is_its_last_command() -> None:
    transaction = Transaction(envelope(250), PIPELINING)
    actions = run(transaction, *["250 ok"] * 251, "354 go", "250 done")
    groups = [action for action in actions if isinstance(action, list)]
    assert [len(group) for group in groups] == [MAX_GROUP_COMMANDS, MAX_GROUP_COMMANDS, 48]
    assert [verb for group in groups for verb in group] == ["MAIL", *["RCPT"] * 250, "DATA"]


def test_a_hundred_recipients_are_one_group() -> None:
    transaction = Transaction(envelope(100), PIPELINING)
    assert len(run(transaction, *["250 ok"] * 101, "354 go", "250 done")) == 2


def test_a_refused_mail_ends_the_transaction_before_the_next_group() -> None:
    transaction = Transaction(envelope(250), PIPELINING)
    assert len(run(transaction, "550 no", *["503 no"] * (MAX_GROUP_COMMANDS - 1))) == 1
    assert outcomes(transaction) == [(PERMANENT, "MAIL")] * 250


# --- outcomes


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        ("450 4.2.1 later", TEMPORARY),
        ("452 4.5.3 too many recipients", TEMPORARY),
        ("550 5.1.1 no such user", PERMANENT),
        ("552 too many recipients", TEMPORARY),  # RFC 5321 §4.5.3.1.10
        ("552 5.5.3 too many recipients", TEMPORARY),
        ("552 5.2.2 mailbox full", PERMANENT),
        ("499 unknown", TEMPORARY),  # RFC 5321 §4.2.1: by the first digit
        ("599 unknown", PERMANENT),
    ],
)
def test_each_recipient_has_its_own_outcome(refusal: str, outcome: Outcome) -> None:
    transaction = Transaction(envelope(2), PIPELINING)
    run(transaction, "250 ok", refusal, "251 forwarded", "354 go", "250 done")
    assert outcomes(transaction) == [(outcome, "RCPT"), (ACCEPTED, "CONTENT")]
    assert transaction.results()[0].reply == reply(refusal)
    assert [result.recipient.address for result in transaction.results()] == ["r0@c.example", "r1@c.example"]


@pytest.mark.parametrize(
    ("replies", "expected", "needs_reset"),
    [
        (["451 no", "503 no", "503 no", "503 no"], [(TEMPORARY, "MAIL")] * 2, False),
        (["552 5.3.4 too large", "503 no", "503 no", "503 no"], [(PERMANENT, "MAIL")] * 2, False),
        (["250 ok", "550 no", "250 ok", "451 no"], [(PERMANENT, "RCPT"), (TEMPORARY, "DATA")], True),
        (["250 ok", "250 ok", "250 ok", "554 no"], [(PERMANENT, "DATA")] * 2, True),
        (["250 ok", "550 no", "450 no", "554 none"], [(PERMANENT, "RCPT"), (TEMPORARY, "RCPT")], True),
        (["250 ok", "450 no", "250 ok", "354 go", "554 no"], [(TEMPORARY, "RCPT"), (PERMANENT, "CONTENT")], False),
        (["250 ok", "250 ok", "250 ok", "354 go", "452 no"], [(TEMPORARY, "CONTENT")] * 2, False),
    ],
)
def test_a_refused_message_is_refused_for_all_accepted_recipients(
    replies: list[str], expected: list[tuple[Outcome, str]], needs_reset: bool
) -> None:
    transaction = Transaction(envelope(2), PIPELINING)
    run(transaction, *replies)
    assert outcomes(transaction) == expected
    assert transaction.needs_reset == needs_reset


def test_data_that_was_accepted_without_recipients_is_ended_by_a_dot_rfc_2920_section_3_1() -> None:
    transaction = Transaction(envelope(2), PIPELINING)
    actions = run(transaction, "250 ok", "550 no", "550 no", "354 go", "250 an empty message")
    assert actions == [["MAIL", "RCPT", "RCPT", "DATA"], Content.NOTHING]
    assert outcomes(transaction) == [(PERMANENT, "RCPT")] * 2


@pytest.mark.parametrize("capabilities", [NO_CAPABILITIES, CHUNKING])
def test_no_content_is_sent_if_all_recipients_are_refused(capabilities: Capabilities) -> None:
    transaction = Transaction(envelope(2), capabilities)
    actions = run(transaction, "250 ok", "550 no", "451 no")
    assert [verb for action in actions if isinstance(action, list) for verb in action] == ["MAIL", "RCPT", "RCPT"]
    assert outcomes(transaction) == [(PERMANENT, "RCPT"), (TEMPORARY, "RCPT")]
    assert transaction.needs_reset


def test_a_refused_chunk_requires_a_reset_rfc_3030_section_2() -> None:
    transaction = Transaction(envelope(), CHUNKING)
    run(transaction, "250 ok", "250 ok", "552 5.3.4 too large")
    assert outcomes(transaction) == [(PERMANENT, "BDAT")]
    assert transaction.needs_reset


def test_the_same_address_twice_has_two_results() -> None:
    twice = Envelope("", (Recipient("a@b"), Recipient("a@b")))
    transaction = Transaction(twice, PIPELINING)
    run(transaction, "250 ok", "250 ok", "550 no", "354 go", "250 done")
    assert outcomes(transaction) == [(ACCEPTED, "CONTENT"), (PERMANENT, "RCPT")]


# --- 421, a lost connection, a violation


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (["421 bye"], [(TEMPORARY, "MAIL")] * 2),
        (["250 ok", "421 bye"], [(TEMPORARY, "RCPT")] * 2),
        (["250 ok", "550 no", "421 bye"], [(PERMANENT, "RCPT"), (TEMPORARY, "RCPT")]),
        (["250 ok", "250 ok", "421 bye"], [(TEMPORARY, "RCPT")] * 2),
        (["250 ok", "550 no", "250 ok", "421 bye"], [(PERMANENT, "RCPT"), (TEMPORARY, "DATA")]),
        (["250 ok", "250 ok", "250 ok", "354 go", "421 bye"], [(TEMPORARY, "CONTENT")] * 2),
    ],
)
def test_421_ends_the_transaction_at_any_stage(replies: list[str], expected: list[tuple[Outcome, str]]) -> None:
    transaction = Transaction(envelope(2), PIPELINING)
    run(transaction, *replies)
    assert outcomes(transaction) == expected
    assert not any(result.may_be_delivered for result in transaction.results())
    assert transaction.next_action() is None


@pytest.mark.parametrize("capabilities", [PIPELINING, CHUNKING])
def test_a_connection_that_is_lost_after_the_content_may_have_delivered(capabilities: Capabilities) -> None:
    transaction = Transaction(envelope(2), capabilities)
    transaction.next_action()
    for line in ("250 ok", "550 no", "250 ok", "354 go"):
        if transaction.awaited:
            transaction.receive(reply(line))
    assert isinstance(transaction.next_action(), Content)
    transaction.content_sent()
    transaction.fail(LOST)
    refused, unknown = transaction.results()
    assert (refused.outcome, refused.may_be_delivered) == (PERMANENT, False)
    assert (unknown.outcome, unknown.may_be_delivered, unknown.error) == (TEMPORARY, True, LOST)
    assert transaction.next_action() is None


def test_a_connection_that_is_lost_within_the_content_has_not_delivered() -> None:
    transaction = Transaction(envelope(), CHUNKING)
    transaction.next_action()
    transaction.receive(reply("250 ok"))
    transaction.receive(reply("250 ok"))
    assert transaction.next_action() is Content.CHUNKS
    transaction.fail(LOST)
    assert transaction.results() == [
        RecipientResult(Recipient("r0@c.example"), TEMPORARY, "DATA", None, LOST, may_be_delivered=False)
    ]


def test_a_single_dot_may_not_have_delivered() -> None:
    transaction = Transaction(envelope(), PIPELINING)
    transaction.next_action()
    for line in ("250 ok", "550 no", "354 go"):
        transaction.receive(reply(line))
    assert transaction.next_action() is Content.NOTHING
    transaction.content_sent()
    transaction.fail(LOST)
    assert outcomes(transaction) == [(PERMANENT, "RCPT")]


@pytest.mark.parametrize(
    "replies",
    [
        ["354 go"],
        ["250 ok", "354 go"],
        ["250 ok", "250 ok", "250 ok"],
        ["250 ok", "250 ok", "354 go", "354 again"],
    ],
)
def test_a_code_that_does_not_belong_to_the_command_is_a_violation(replies: list[str]) -> None:
    transaction = Transaction(envelope(), PIPELINING)
    with pytest.raises(ProtocolViolation) as raised:
        run(transaction, *replies)
    assert raised.value.reason is Violation.UNEXPECTED_CODE
    transaction.fail(raised.value)
    (result,) = transaction.results()
    assert result.outcome is TEMPORARY
    assert result.may_be_delivered == (len(replies) == 4)


# --- what the server has not announced


@pytest.mark.parametrize(
    ("message", "capabilities", "reason"),
    [
        (Envelope("", (Recipient("a@b"),), size=11), Capabilities(max_size=10), Unsendable.TOO_LARGE),
        (Envelope("", (Recipient("a@b"),), needs_8bit=True), Capabilities(), Unsendable.NEEDS_8BITMIME),
        (Envelope("", (Recipient("a@b"),), needs_utf8=True), Capabilities(), Unsendable.NEEDS_SMTPUTF8),
        (Envelope("", (Recipient("ü@b"),)), Capabilities(), Unsendable.NEEDS_SMTPUTF8),
    ],
)
def test_a_message_that_the_server_cannot_take_is_not_sent(
    message: Envelope, capabilities: Capabilities, reason: Unsendable
) -> None:
    transaction = Transaction(message, capabilities)
    assert transaction.next_action() is None
    (result,) = transaction.results()
    assert (result.outcome, result.error, result.reply) == (PERMANENT, reason, None)
    assert result.status.startswith("5.")
    assert result.text == reason.value.text


@pytest.mark.parametrize("max_size", [None, 0, 10])
def test_a_message_within_the_announced_size_is_sent(max_size: int | None) -> None:
    transaction = Transaction(Envelope("", (Recipient("a@b"),), size=10), Capabilities(max_size=max_size))
    assert transaction.next_action() is not None


# --- reports


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ("550 5.1.1 no such user", "5.1.1", "550 5.1.1 no such user"),
        ("550 no such user", "5.0.0", "550 no such user"),
        ("552 5.5.3 too many", "4.5.3", "552 5.5.3 too many"),
        ("451", "4.0.0", "451"),
    ],
)
def test_the_status_has_the_class_of_the_outcome_rfc_3464_section_2_3_4(line: str, status: str, text: str) -> None:
    transaction = Transaction(envelope(), NO_CAPABILITIES)
    run(transaction, "250 ok", line)
    (result,) = transaction.results()
    assert (result.status, result.text) == (status, text)


def test_a_failure_has_a_status_and_a_text() -> None:
    transaction = Transaction(envelope(), NO_CAPABILITIES)
    transaction.fail(Refused("RSET", reply("550 5.7.1 no")))
    (result,) = transaction.results()
    assert (result.outcome, result.command) == (TEMPORARY, "RSET")
    assert (result.status, result.text) == ("4.7.1", "RSET refused: 550 5.7.1 no")


codes = st.sampled_from(["250 ok", "354 go", "421 bye", "450 later", "550 no", "552 full"])


@settings(max_examples=examples(500))
@given(
    st.integers(1, 5),
    st.sampled_from([NO_CAPABILITIES, PIPELINING, CHUNKING, Capabilities(chunking=True)]),
    st.lists(codes, max_size=12),
)
def test_each_recipient_has_one_result_whatever_the_server_answers(
    recipients: int, capabilities: Capabilities, replies: list[str]
) -> None:
    transaction = Transaction(envelope(recipients), capabilities)
    rest = iter(replies)
    next_reply: Callable[[], str | None] = lambda: next(rest, None)  # noqa: E731
    try:
        while (action := transaction.next_action()) is not None:
            if isinstance(action, Content):
                transaction.content_sent()
            while transaction.awaited or isinstance(action, Content):
                line = next_reply()
                if line is None:
                    raise LOST
                transaction.receive(reply(line))
                if isinstance(action, Content):
                    break
    except (Disconnected, ProtocolViolation) as error:
        transaction.fail(error)
    results = transaction.results()
    assert [result.recipient for result in results] == list(envelope(recipients).recipients)
    for result in results:
        if result.outcome is ACCEPTED:
            assert result.reply is not None
            assert result.reply.is_positive
            assert result.command in ("CONTENT", "BDAT")
        if result.may_be_delivered:
            assert result.outcome is TEMPORARY
    assert transaction.next_action() is None
