"""Mail of users leaves by the relay's container: signed, traced, seen by an operator, and after a kill."""

import smtplib
from collections.abc import Iterator
from email import message_from_bytes
from itertools import count
from json import loads

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import Account, message
from tests.containers.jaeger import Jaeger
from tests.containers.project import Project, docker
from tests.containers.relaying import attempts, delivery, gateway, relaying, submit
from tests.containers.waiting import eventually
from tests.support.relay.sink import SILENT, Message, Sink, in_thread, reply

OUTSIDE = "bob@elsewhere.example"

_subjects = (f"Outgoing {number}" for number in count(1))


@pytest.fixture(scope="module")
def sink(stack: Project) -> Iterator[Sink]:
    """The smarthost of the stack, whose relay is enabled."""
    with in_thread(Sink(host=gateway(stack))) as started:
        with relaying(stack, RELAY_SMARTHOST=f"{started.host}:{started.port}"):
            yield started


@pytest.fixture
def subject() -> str:
    """The subject of a message."""
    return next(_subjects)


def arrived(sink: Sink, subject: str) -> list[Message]:
    """The messages with this subject that the sink has accepted."""
    accepted = [each for each in list(sink.messages) if each.accepted]
    return [each for each in accepted if message_from_bytes(each.content)["Subject"] == subject]


def queued(stack: Project, sender: Account) -> list[dict[str, object]]:
    """What waits, of this sender."""
    rows: list[dict[str, object]] = loads(stack.relate("queue", "list", "--account", sender.address, "--json"))
    return rows


def test_only_the_relay_and_the_command_have_the_private_keys() -> None:
    prerequisites.require(prerequisites.no_engine())
    mounts = [
        (name, volume.get("read_only", False))
        for name, service in prerequisites.config(profile="*")["services"].items()
        for volume in service.get("volumes", [])
        if volume["source"] == "dkim"
    ]
    assert sorted(mounts) == [("relate", False), ("relay", True)]


def test_mail_stays_here_by_default(stack: Project, alice: Account) -> None:
    with stack.submission(*alice) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail(alice.address, [OUTSIDE], message("Stays"))
    assert refused.value.recipients[OUTSIDE] == (550, b"5.7.1 Relaying denied")


def test_mail_is_signed_after_keys_were_made_while_the_relay_runs(stack: Project, sink: Sink) -> None:
    sender = Account("ann@signing.test", stack.add_user("ann@signing.test"))

    def send() -> list[str]:
        subject = next(_subjects)
        text = f"From: {sender.address}\r\nSubject: {subject}\r\n\r\n"
        submit(stack, sender, OUTSIDE, text.encode())
        (sent,) = eventually(lambda: arrived(sink, subject))
        return message_from_bytes(sent.content).get_all("DKIM-Signature", [])

    assert send() == []
    stack.relate("domain", "add", "signing.test")
    signatures = eventually(send)
    assert len(signatures) == 2
    assert all("d=signing.test;" in each for each in signatures)


def test_an_attempt_is_a_trace_that_links_to_the_transaction(
    stack: Project, jaeger: Jaeger, sink: Sink, alice: Account, subject: str
) -> None:
    message_id = submit(stack, alice, OUTSIDE, message(subject))
    transaction = delivery(jaeger, message_id).one("smtp.transaction")
    (trace,) = attempts(jaeger, transaction)
    assert trace.one("relay.attempt").tags["relay.outcome"] == "accepted"
    assert {"relay.command.mail", "relay.command.rcpt"} <= {span.name for span in trace}  # it may find a connection
    (sent,) = arrived(sink, subject)
    assert sent.sender == alice.address


def test_an_operator_sees_what_waits_and_why(stack: Project, sink: Sink, alice: Account, subject: str) -> None:
    sink.script["RCPT"] = reply("450 4.2.1 come back later")
    submit(stack, alice, OUTSIDE, message(subject))
    (row,) = eventually(lambda: [row for row in queued(stack, alice) if row["attempts"]])
    assert (row["recipient"], row["lastReply"]) == (OUTSIDE, "450 4.2.1 come back later")
    del sink.script["RCPT"]
    eventually(lambda: arrived(sink, subject))
    eventually(lambda: not queued(stack, alice))


def test_mail_is_sent_although_the_relay_was_killed_in_an_attempt(
    stack: Project, sink: Sink, alice: Account, subject: str
) -> None:
    (relay,) = stack.containers("relay")
    connections = sink.connections
    sink.script["GREETING"] = SILENT
    submit(stack, alice, OUTSIDE, message(subject))
    eventually(lambda: sink.connections > connections)
    docker("kill", "--signal=KILL", relay)
    del sink.script["GREETING"]
    stack.start("relay")
    eventually(lambda: arrived(sink, subject))
    eventually(lambda: not queued(stack, alice))
    assert len(arrived(sink, subject)) == 1
