"""Delivery with SMTP, and reading with POP3 and the API: all three agree."""

import poplib
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

pytestmark = [
    pytest.mark.xdist_group("product-main-job"),
    pytest.mark.parametrize(
        "product", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True, scope="module"
    ),
]

EXTERNAL_SENDER = "stranger@example.org"


def submit_with_starttls(product: Product, sender: Account) -> AbstractContextManager[smtplib.SMTP]:
    return product.submission(*sender)


def submit_with_tls(product: Product, sender: Account) -> AbstractContextManager[smtplib.SMTP]:
    port = product.ports["Smtp__SecurePort"]
    client = smtplib.SMTP_SSL(HOST, port, "client.example.test", timeout=TIMEOUT_SECONDS, context=product.tls())
    client.login(*sender)
    return client


def deliver_to_mx(product: Product, _: Account) -> AbstractContextManager[smtplib.SMTP]:
    return product.mx()


def pop3_plaintext(product: Product) -> poplib.POP3:
    return poplib.POP3(HOST, product.ports["Pop3__Port"], timeout=TIMEOUT_SECONDS)


def pop3_with_stls(product: Product) -> poplib.POP3:
    client = pop3_plaintext(product)
    client.stls(product.tls())
    return client


def pop3_with_tls(product: Product) -> poplib.POP3:
    return poplib.POP3_SSL(HOST, product.ports["Pop3__SecurePort"], timeout=TIMEOUT_SECONDS, context=product.tls())


def retrieve_all(product: Product, reader: Account) -> list[bytes]:
    """Retrieve all messages of the maildrop with POP3."""
    with product.pop3(*reader) as client:
        return [b"\r\n".join(client.retr(number + 1)[1]) + b"\r\n" for number in range(client.stat()[0])]


def submit(product: Product, sender: Account, *recipients: str, subject: str = "Lunch") -> None:
    with product.submission(*sender) as client:
        assert client.send_message(message(sender.address, *recipients, subject=subject), sender.address) == {}


@pytest.mark.parametrize("connect", [submit_with_starttls, submit_with_tls, deliver_to_mx])
def test_a_message_arrives_octet_for_octet_below_its_trace_fields(
    product: Product,
    alice: Account,
    bob: Account,
    connect: Callable[[Product, Account], AbstractContextManager[smtplib.SMTP]],
) -> None:
    content = f"From: {alice.address}\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n..\r\n.\r\ngrüße\r\n".encode()
    with connect(product, alice) as client:
        client.sendmail(alice.address, bob.address, content, ["BODY=8BITMIME"])
    (raw,) = retrieve_all(product, bob)
    assert raw.endswith(content)
    trace = raw.removesuffix(content)
    assert trace.startswith(f"Return-Path: <{alice.address}>\r\nReceived: from ".encode())


@pytest.mark.parametrize("connect", [pop3_plaintext, pop3_with_stls, pop3_with_tls])
def test_mail_is_read_with_pop3_in_plaintext_and_with_tls(
    product: Product, alice: Account, connect: Callable[[Product], poplib.POP3]
) -> None:
    submit(product, alice, alice.address)
    client = connect(product)
    client.user(alice.address)
    client.pass_(alice.key)
    assert client.stat()[0] == 1
    assert b"Subject: Lunch" in client.retr(1)[1]
    assert len(client.uidl()[1]) == 1
    client.quit()


def test_every_recipient_has_a_separate_copy(product: Product, alice: Account, bob: Account) -> None:
    submit(product, alice, alice.address, bob.address)
    with product.pop3(*alice) as client:
        client.dele(1)
    assert retrieve_all(product, alice) == []
    assert len(retrieve_all(product, bob)) == 1


def test_a_blind_copy_is_delivered_without_its_bcc_field(product: Product, alice: Account, bob: Account) -> None:
    hidden = message(alice.address, alice.address)
    hidden["Bcc"] = bob.address
    with product.submission(*alice) as client:
        client.sendmail(alice.address, [alice.address, bob.address], hidden.as_bytes())
    for reader in (alice, bob):
        (raw,) = retrieve_all(product, reader)
        assert bob.address.encode() not in raw
        assert b"Bcc" not in raw


def test_an_alias_sends_and_receives_mail(product: Product, bob: Account) -> None:
    alias = bob.address.replace("bob", "robert")
    robert = Account.create(product, "owner", "--alias", alias)
    with product.submission(alias, robert.key) as client:
        client.sendmail(alias, [alias, bob.address], message(alias, bob.address).as_bytes())
    assert len(retrieve_all(product, robert)) == 1
    assert f"Return-Path: <{alias}>".encode() in retrieve_all(product, bob)[0]


def test_a_foreign_sender_is_refused(product: Product, alice: Account, bob: Account) -> None:
    with product.submission(*alice) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.send_message(message(bob.address, alice.address), bob.address)
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (553, b"5.7.1")


def test_a_wrong_key_is_refused_by_all_services(product: Product, alice: Account, bob: Account) -> None:
    for key in (bob.key, alice.key[:-1], "password"):
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"), product.submission(alice.address, key):
            pass
        with pytest.raises(poplib.error_proto, match="AUTH"), product.pop3(alice.address, key):
            pass
    with product.api(alice.key[:-1]) as client:
        assert client.get("/emails").status_code == 401


def test_submission_requires_a_login(product: Product, alice: Account) -> None:
    with product.submission() as client, pytest.raises(smtplib.SMTPSenderRefused, match=r"5\.7\.0"):
        client.sendmail(alice.address, [alice.address], b"\r\n")


def test_unknown_and_foreign_recipients_are_refused(product: Product, alice: Account) -> None:
    for connect in (deliver_to_mx, submit_with_starttls):
        with connect(product, alice) as client:
            client.ehlo_or_helo_if_needed()
            client.mail(alice.address if connect is submit_with_starttls else EXTERNAL_SENDER)
            unknown = client.rcpt(f"nobody.{alice.address}")
            foreign = client.rcpt("somebody@example.org")
            assert (unknown[0], unknown[1][:5]) == (550, b"5.1.1")
            assert (foreign[0], foreign[1][:5]) == (550, b"5.7.1")


def test_the_api_lists_searches_gets_and_deletes(product: Product, alice: Account) -> None:
    for subject in ("Apples", "Pears"):
        submit(product, alice, alice.address, subject=subject)
    with product.api(alice.key) as client:
        newest, oldest = client.get("/emails").json()["items"]
        assert (oldest["subject"], newest["subject"]) == ("Apples", "Pears")
        (found,) = client.get("/emails/search", params={"q": "apple"}).json()["items"]
        assert found["id"] == oldest["id"]
        shown = client.get(f"/emails/{found['id']}").json()
        assert shown["textBody"].splitlines() == ["At noon?"]
        assert shown["from"]["address"] == alice.address
        assert client.delete(f"/emails/{found['id']}").status_code == 204
        assert client.get(f"/emails/{found['id']}").status_code == 404
        assert [row["subject"] for row in client.get("/emails").json()["items"]] == ["Pears"]
    assert len(retrieve_all(product, alice)) == 1


def test_the_api_and_pop3_return_the_same_octets(product: Product, alice: Account) -> None:
    submit(product, alice, alice.address)
    (raw,) = retrieve_all(product, alice)
    with product.api(alice.key) as client:
        (row,) = client.get("/emails").json()["items"]
        assert client.get(f"/emails/{row['id']}/raw").content == raw
        assert row["sizeBytes"] == len(raw)


def test_a_retrieved_message_is_read_in_the_api(product: Product, alice: Account) -> None:
    for subject in ("Read", "Unread"):
        submit(product, alice, alice.address, subject=subject)
    with product.pop3(*alice) as reader:
        reader.retr(1)
    with product.api(alice.key) as client:
        (read,) = client.get("/emails", params={"isRead": True}).json()["items"]
        (unread,) = client.get("/emails", params={"isRead": False}).json()["items"]
        assert (read["subject"], unread["subject"]) == ("Read", "Unread")
        assert client.patch(f"/emails/{read['id']}", json={"isRead": False, "addLabels": ["later"]}).json()["labels"]
        assert len(client.get("/emails", params={"isRead": False}).json()["items"]) == 2
        assert len(client.get("/emails", params={"label": "later"}).json()["items"]) == 1


def test_a_message_deleted_with_the_api_is_deleted_in_pop3(product: Product, alice: Account) -> None:
    submit(product, alice, alice.address)
    with product.api(alice.key) as client:
        (row,) = client.get("/emails").json()["items"]
        client.delete(f"/emails/{row['id']}")
    assert retrieve_all(product, alice) == []


def test_a_key_is_valid_only_for_its_scopes(product: Product, alice: Account) -> None:
    reader = product.create_key(alice.address, ["pop3"])
    with product.pop3(alice.address, reader) as client:
        assert client.stat() == (0, 0)
    with pytest.raises(smtplib.SMTPAuthenticationError), product.submission(alice.address, reader):
        pass
    with product.api(reader) as client:
        assert client.get("/emails").status_code == 403
