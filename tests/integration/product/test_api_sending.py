"""Mail that is sent by the API: IMAP and the relay see it, on each database, and a killed server sends it once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email import message_from_bytes
from typing import Any
from uuid import uuid4

import httpx
import pytest
from imapclient import IMAPClient

from tests.integration.product.accounts import Account
from tests.integration.product.inbox import arriving
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

pytestmark = pytest.mark.xdist_group("product-api-sending")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def sending(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product that queues mail for other servers, which it cannot reach."""
    database = request.getfixturevalue("postgres_queue") if request.param == "postgres" else None
    folder = tmp_path_factory.mktemp("sending")
    settings = {
        "Relay__Enabled": "true",
        "Relay__Smarthost": "127.0.0.1:1",
        "Relay__KeyDirectory": str(folder / "keys"),
    }
    with Product(folder, database, **settings) as started:
        started.start()
        yield started


@pytest.fixture
def ann(sending: Product) -> Account:
    return Account.create(sending, "ann")


@pytest.fixture
def bob(sending: Product) -> Account:
    return Account.create(sending, "bob")


def api(product: Product, user: Account) -> httpx.Client:
    headers = {"Authorization": f"Bearer {user.key}"}
    return httpx.Client(base_url=product.api_url, headers=headers, timeout=TIMEOUT_SECONDS)


def send(product: Product, sender: Account, path: str = "/api/emails", key: str = "", **body: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    with api(product, sender) as client:
        response = client.post(path, json=body, headers=headers)
    assert response.status_code == 201, response.text
    sent: dict[str, Any] = response.json()
    return sent


def fetched(product: Product, reader: Account, mailbox: str) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """The messages of a mailbox by IMAP, with their flags."""
    with IMAPClient(HOST, product.ports["Imap__Port"], ssl=False, timeout=TIMEOUT_SECONDS) as client:
        client.login(*reader)
        client.select_folder(mailbox, readonly=True)
        found = client.fetch(client.search(), ["BODY.PEEK[]", "FLAGS"])
    return [(found[uid][b"BODY[]"], found[uid][b"FLAGS"]) for uid in sorted(found)]


def test_imap_has_the_message_in_inbox_and_in_sent_and_the_queue_has_the_others(
    sending: Product, ann: Account, bob: Account
) -> None:
    outside = f"{uuid4().hex}@elsewhere.example"
    with arriving(sending, bob) as messages:
        sent = send(
            sending,
            ann,
            to=[{"address": bob.address, "name": "Bøb"}],
            bcc=[{"address": outside}],
            subject="Grüße",
            textBody="hello\n",
        )
    (received,) = messages
    assert message_from_bytes(received)["Message-ID"] == f"<{sent['messageId']}>"
    assert outside.encode() not in received
    ((copy, flags),) = fetched(sending, ann, "Sent")
    assert copy == received
    assert b"\\Seen" in flags
    assert sent["recipients"] == [
        {"address": bob.address, "state": "delivered"},
        {"address": outside, "state": "queued"},
    ]
    (row,) = [each for each in sending.relate_json("queue", "list") if each["recipient"] == outside]
    assert row["sender"] == ann.address


def test_a_draft_of_a_mail_client_is_sent_by_the_api(sending: Product, ann: Account, bob: Account) -> None:
    raw = f"From: {ann.address}\r\nTo: {bob.address}\r\nBcc: {ann.address}\r\nSubject: by IMAP\r\n\r\ntext\r\n"
    with IMAPClient(HOST, sending.ports["Imap__Port"], ssl=False, timeout=TIMEOUT_SECONDS) as client:
        client.login(*ann)
        client.append("Drafts", raw.encode(), [b"\\Draft"])
    with api(sending, ann) as http:
        (draft,) = http.get("/api/drafts").json()["items"]
    send(sending, ann, f"/api/drafts/{draft['id']}/send")
    assert not fetched(sending, ann, "Drafts")
    ((received, _),) = fetched(sending, bob, "INBOX")
    assert b"\r\nSubject: by IMAP\r\n" in received
    assert b"Bcc" not in received
    assert len(fetched(sending, ann, "INBOX")) == 1


def test_imap_sees_a_reply_as_answered_and_a_move(sending: Product, ann: Account, bob: Account) -> None:
    send(sending, ann, to=[{"address": bob.address}], subject="Lunch?")
    with api(sending, bob) as http:
        (question,) = http.get("/api/external/emails").json()["items"]
        http.post("/api/mailboxes", json={"name": "Kunden/Ann"}).raise_for_status()
    send(sending, bob, f"/api/emails/{question['id']}/reply", textBody="Yes.\n")
    ((_, flags),) = fetched(sending, bob, "INBOX")
    assert b"\\Answered" in flags
    ((reply, _),) = fetched(sending, ann, "INBOX")
    assert message_from_bytes(reply)["In-Reply-To"] == f"<{question['messageId']}>"
    with api(sending, bob) as http:
        moved = http.post(f"/api/emails/{question['id']}/move", json={"mailbox": "Kunden/Ann"})
        assert moved.json()["mailboxes"] == ["Kunden/Ann"]
    assert not fetched(sending, bob, "INBOX")
    assert len(fetched(sending, bob, "Kunden/Ann")) == 1


def test_a_large_message_is_sent_in_chunks_and_one_above_the_limit_is_refused(
    sending: Product, ann: Account, bob: Account
) -> None:
    line = b"x" * 70 + b"\r\n"
    head = f"To: {bob.address}\r\nSubject: big\r\n\r\n".encode()
    headers = {"Content-Type": "message/rfc822"}

    def chunks(lines: int) -> Iterator[bytes]:
        yield head
        for _ in range(lines // 500):
            yield line * 500

    with api(sending, ann) as client:
        response = client.post("/api/emails", content=chunks(120_000), headers=headers)
        assert response.status_code == 201, response.text
        refused = client.post("/api/emails", content=head + line * 800_000, headers=headers)
        assert refused.status_code == 413, refused.text
    ((received, _),) = fetched(sending, bob, "INBOX")
    assert received.endswith(b"\r\n\r\n" + line * 120_000)


def test_requests_that_a_killed_server_did_not_answer_send_once_when_they_are_repeated(
    sending: Product, ann: Account, bob: Account
) -> None:
    requests = {uuid4().hex: f"number {number}" for number in range(40)}

    def attempt(key: str) -> None:
        with suppress(httpx.HTTPError):
            send(sending, ann, key=key, to=[{"address": bob.address}], subject=requests[key])

    with ThreadPoolExecutor(8) as pool:
        attempts = [pool.submit(attempt, key) for key in requests]
        attempts[8].result()
        sending.kill()
    sending.start()
    for key, subject in requests.items():
        send(sending, ann, key=key, to=[{"address": bob.address}], subject=subject)
    subjects = [message_from_bytes(raw)["Subject"] for raw, _ in fetched(sending, bob, "INBOX")]
    assert sorted(subjects) == sorted(requests.values())
    assert len(fetched(sending, ann, "Sent")) == len(requests)
