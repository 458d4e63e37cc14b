"""Mail to other servers: submitted, queued, sent by the relay, and reported to the sender."""

import json
import re
import smtplib
import socket
import threading
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from secrets import token_hex
from typing import Any

import dkim
import pytest

from tests.integration.product.accounts import Account, message
from tests.integration.product.inbox import arriving
from tests.support.product import HOST, TIMEOUT_SECONDS, Product
from tests.support.relay.sink import Answer, Message, Sink, in_thread, reply

pytestmark = pytest.mark.xdist_group("product-relay")

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


class Smarthost(Sink):
    """A server that refuses recipients whose names begin with `no`, and tells when a client has ended its session."""

    def __init__(self) -> None:
        super().__init__()
        self.has_quit = threading.Event()

    def answer(self, verb: str, arguments: str) -> Answer | None:
        """See `Sink.answer`."""
        if verb == "QUIT":
            self.has_quit.set()
        return reply("550 5.1.1 no such user") if arguments.upper().startswith("TO:<NO") else None

    def take(self, recipients: int = 1) -> list[Message]:
        """Wait until so many recipients have got a message; all messages so far."""
        while sum(len(each.recipients) for each in self.messages) < recipients:
            assert self.has_quit.wait(TIMEOUT_SECONDS)
            self.has_quit.clear()
        messages, self.messages = self.messages, []
        return messages


@pytest.fixture(scope="module")
def sink() -> Iterator[Smarthost]:
    started = Smarthost()
    with in_thread(started):
        yield started


@pytest.fixture(scope="module", params=DATABASES)
def relaying(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sink: Smarthost
) -> Iterator[Product]:
    """A product that may send mail elsewhere."""
    database = request.getfixturevalue("postgres_queue") if request.param == "postgres" else None
    folder = tmp_path_factory.mktemp("relaying")
    settings = {
        "Relay__Enabled": "true",
        "Relay__KeyDirectory": str(folder / "keys"),
        "Relay__Smarthost": f"127.0.0.1:{sink.port}",
        "Relay__SmarthostTls": "may",
        "Relay__Retry": "0.2",
    }
    with Product(folder, database, **settings) as started:
        started.start()
        yield started


@pytest.fixture
def ann(relaying: Product) -> Account:
    return Account.create(relaying, "ann")


def submit(product: Product, sender: Account, *recipients: str) -> str:
    """Submit a message; returns its Message-ID."""
    sent = message(sender.address, *recipients)
    with product.submission(*sender) as client:
        assert client.send_message(sent) == {}
    return str(sent["Message-ID"])


def test_a_users_mail_reaches_another_server(relaying: Product, sink: Smarthost, ann: Account) -> None:
    message_id = submit(relaying, ann, "bob@elsewhere.example", "eve@elsewhere.example", "joe@third.example")
    messages = sink.take(3)
    assert sorted(to.address for each in messages for to in each.recipients) == [
        "bob@elsewhere.example",
        "eve@elsewhere.example",
        "joe@third.example",
    ]
    for each in messages:
        assert each.sender == ann.address
        assert message_from_bytes(each.content)["Message-ID"] == message_id


def test_mail_of_a_domain_with_keys_is_signed(relaying: Product, sink: Smarthost, ann: Account) -> None:
    domain = f"{ann.address.partition('@')[0]}.example"
    relaying.relate_json("domain", "add", domain)
    relaying.relate_json("user", "alias", ann.address, f"ann@{domain}")
    records = {
        name.removesuffix("."): "".join(value.split('"')[1::2]).encode()
        for name, _, value in (line.partition(" IN TXT ") for line in relaying.relate_json("domain", "dns", domain))
    }
    with relaying.submission(*ann) as client:
        client.send_message(message(f"ann@{domain}", "bob@elsewhere.example"))
    (sent,) = sink.take()
    signatures = message_from_bytes(sent.content).get_all("DKIM-Signature")
    assert signatures is not None
    assert [f"d={domain};" in signature for signature in signatures] == [True, True]
    (number,) = [index for index, signature in enumerate(signatures) if "a=rsa-sha256" in signature]
    verifier = dkim.DKIM(sent.content)
    assert verifier.verify(number, dnsfunc=lambda name, **_: records[name.decode().removesuffix(".")])


def test_a_user_sends_from_an_address_elsewhere_that_a_mailed_code_has_proved(
    relaying: Product, sink: Smarthost, ann: Account
) -> None:
    proved, claimed = (f"{name}.{token_hex(4)}@customer.example" for name in ("office", "sales"))
    addresses = f"{relaying.api_url}/api/profile/addresses"
    with relaying.api(relaying.create_key(ann.address, ["app"])) as client:
        ids = {}
        for address in (proved, claimed):
            response = client.post(addresses, json={"address": address})
            assert response.status_code == 201, response.text
            ids[address] = response.json()["id"]
            (mailed,) = sink.take()
            assert (mailed.sender, [to.address for to in mailed.recipients]) == ("", [address])
            if address == proved:
                (code,) = re.findall(rb"^    ([\w-]{22})\r$", mailed.content, re.MULTILINE)
        verified = client.post(f"{addresses}/{ids[proved]}/verify", json={"code": code.decode()})
        assert verified.json()["isVerified"]
        with relaying.submission(*ann) as session:
            assert session.send_message(message(proved, "bob@elsewhere.example")) == {}
            with pytest.raises(smtplib.SMTPSenderRefused):
                session.send_message(message(claimed, "bob@elsewhere.example"))
    (sent,) = sink.take()
    assert sent.sender == proved
    assert message_from_bytes(sent.content)["Sender"] is None


def test_one_message_has_recipients_here_and_elsewhere(relaying: Product, sink: Smarthost, ann: Account) -> None:
    bob = Account.create(relaying, "bob")
    with arriving(relaying, bob) as messages:
        submit(relaying, ann, bob.address, "joe@elsewhere.example")
    (sent,) = sink.take()
    assert [to.address for to in sent.recipients] == ["joe@elsewhere.example"]
    assert message_from_bytes(messages[0])["Message-ID"] == message_from_bytes(sent.content)["Message-ID"]


def test_a_refusal_is_reported_in_the_thread_of_the_message(relaying: Product, sink: Smarthost, ann: Account) -> None:
    with arriving(relaying, ann) as messages:
        refused = f"nobody.{token_hex(4)}@elsewhere.example"  # no other test uses it: a refusal lists it
        message_id = submit(relaying, ann, refused)
    (report,) = messages
    parsed = message_from_bytes(report)
    assert parsed.get_content_type() == "multipart/report"
    assert (parsed["In-Reply-To"], parsed["Return-Path"]) == (message_id, "<>")
    assert f"Final-Recipient: rfc822; {refused}".encode() in report
    assert b"550 5.1.1 no such user" in report


def test_an_address_that_was_refused_is_sent_nothing_until_it_is_removed(
    relaying: Product, sink: Smarthost, ann: Account
) -> None:
    address = f"no{ann.address.partition('@')[0]}@elsewhere.example"
    with arriving(relaying, ann):
        submit(relaying, ann, address)
    (entry,) = [each for each in relaying.relate_json("suppress", "list") if each["address"] == address]
    assert (entry["source"], entry["status"], entry["reason"]) == ("reply", "5.1.1", "550 5.1.1 no such user")
    assert entry["expires"] > entry["added"]
    assert address in relaying.relate("suppress", "list").stdout
    asked = len(sink.commands)
    with arriving(relaying, ann) as messages:
        submit(relaying, ann, address.upper())
    assert len(sink.commands) == asked
    told = message_from_bytes(messages[-1])
    assert "the suppression list since" in str(told.get_payload(0))
    assert b"Status: 5.1.1\r\n" in messages[-1]
    assert relaying.relate_json("suppress", "remove", address) == {"address": address}
    with arriving(relaying, ann):
        submit(relaying, ann, address)
    assert len(sink.commands) > asked
    relaying.relate_json("suppress", "remove", address)
    again = relaying.relate("suppress", "remove", address)
    assert (again.returncode, again.stderr) == (1, f"relate: {address} is not on the suppression list\n")


def test_an_operator_suppresses_an_address_in_any_form(relaying: Product, ann: Account) -> None:
    added = relaying.relate_json("suppress", "add", "Bücher@BÜCHER.example", "--reason", "asked us to stop")
    assert added["address"] == "bücher@xn--bcher-kva.example"
    assert (added["source"], added["reason"], added["expires"]) == ("operator", "asked us to stop", None)
    assert added in relaying.relate_json("suppress", "list")
    assert relaying.relate_json("suppress", "remove", "BÜCHER@xn--bcher-kva.example") == {"address": added["address"]}
    for wrong in ("no-domain", "*@elsewhere.example"):
        assert relaying.relate("suppress", "add", wrong).returncode == 1


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[Product]:
    """A product whose smarthost is down, and which tries again after an hour."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    settings = {"Relay__Enabled": "true", "Relay__Smarthost": f"{HOST}:{port}", "Relay__Retry": "3600"}
    with Product(tmp_path, **settings) as started:
        started.start()
        yield started


def queue(product: Product, *options: str) -> dict[str, dict[str, Any]]:
    return {row["recipient"]: row for row in product.relate_json("queue", "list", *options)}


def test_an_operator_sees_and_changes_the_queue(unreachable: Product) -> None:
    ann = Account.create(unreachable, "ann")
    submit(unreachable, ann, "bob@elsewhere.example", "joe@third.example")
    attempted: dict[str, dict[str, Any]] = {}
    while len(attempted) < 2:  # each look takes a process
        rows = queue(unreachable, "--state", "queued")
        attempted = {recipient: row for recipient, row in rows.items() if row["attempts"]}
    bob = attempted["bob@elsewhere.example"]
    assert (bob["sender"], bob["domain"], bob["status"]) == (ann.address, "elsewhere.example", "4.4.1")
    assert "connection refused" in bob["lastReply"]
    assert bob["nextAttempt"] > bob["arrived"]
    assert unreachable.relate_json("queue", "hold", "--domain", "Elsewhere.example") == {"changed": 1}
    assert unreachable.relate_json("queue", "hold", "--domain", "elsewhere.example") == {"changed": 0}
    assert list(queue(unreachable, "--state", "held")) == ["bob@elsewhere.example"]
    assert unreachable.relate_json("queue", "drop", str(bob["id"])) == {"changed": 1}
    assert list(queue(unreachable, "--account", ann.address, "--state", "queued")) == ["joe@third.example"]
    assert unreachable.relate_json("queue", "drop", "--account", ann.address) == {"changed": 1}
    assert queue(unreachable) == {}
    refused = unreachable.relate("queue", "drop")
    assert refused.returncode == 2
    assert "--domain" in refused.stderr


def test_the_doctor_says_whether_mail_leaves(unreachable: Product, product: Product) -> None:
    texts = [
        finding["text"]
        for each in (unreachable, product)
        for finding in json.loads(each.relate("doctor", "--json", "--no-dns").stdout)
        if finding["subject"] == "relay"
    ]
    assert [text.partition(":")[0] for text in texts] == ["enabled", "disabled"]


def test_nothing_is_relayed_for_a_stranger(relaying: Product, ann: Account) -> None:
    for sender in ("stranger@outside.example", ann.address, ""):
        with relaying.mx() as client:
            client.ehlo()
            client.mail(sender)
            for recipient in (
                "bob@elsewhere.example",
                "bob%elsewhere.example@[127.0.0.1]",
                "<@example.test:bob@elsewhere.example>",
                '"bob@elsewhere.example"@elsewhere.example',
            ):
                code, text = client.rcpt(recipient)
                assert code == 550, (recipient, text)


def test_without_the_setting_nothing_leaves(product: Product, alice: Account) -> None:
    with product.submission(*alice) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.send_message(message(alice.address, "bob@elsewhere.example"))
    (answer,) = refused.value.recipients.values()
    assert answer == (550, b"5.7.1 Relaying denied")


def test_a_malformed_setting_is_named(tmp_path: Path) -> None:
    for name, value in (("Retry", "soon"), ("TlsPolicy", "x=maybe"), ("Smarthost", "host"), ("Resolver", "dns.test")):
        (tmp_path / name).mkdir()
        with Product(tmp_path / name, **{"Relay__Enabled": "true", f"Relay__{name}": value}) as broken:
            done = broken.relate("serve")
        assert done.returncode == 1
        assert f"Relay__{name}" in done.stderr
