"""`POST /api/emails`: what recipients and sender get, what is refused, and that a repeated request sends nothing."""

import asyncio
import email
import email.policy
from base64 import b64encode
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.directory import CachedDirectory
from relate_accounts.types import Scope
from relate_api.compose.once import FIELD
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import QueueFilter, QueueState, SendingLimit
from relate_mailstore.types import AccountId, Delivery, Flag, Receipt
from relate_mime import index_message
from relate_mime.types import Address
from relate_submission.routing import LocalOnly
from relate_wire.content_budget import ContentBudget
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import CLIENT_ADDRESS, SERVER_NAME, create_api, create_client, expect_problem

SEND = "/api/emails"
BOB = {"address": "bob@example.net", "name": "Bob"}
HELLO = {"to": [BOB], "subject": "Hello", "textBody": "A text.\n"}
MIME = {"Content-Type": "message/rfc822"}


async def raw_of(world: MemoryBackend, account_id: AccountId, mailbox: str = "INBOX") -> list[bytes]:
    """The messages of a mailbox, oldest first."""
    if not await world.store.mailboxes(account_id):
        return []
    entries = (await world.store.snapshot(account_id, mailbox)).entries
    return [await (await world.store.open(account_id, entry.message_id)).read() for entry in entries]


async def only(world: MemoryBackend, account_id: AccountId, mailbox: str = "INBOX") -> EmailMessage:
    """The only message of a mailbox, parsed."""
    (raw,) = await raw_of(world, account_id, mailbox)
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


async def send(client: httpx.AsyncClient, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    response = await client.post(SEND, json=body)
    if status != 201:
        return expect_problem(response, status)
    assert response.status_code == status, response.text
    sent: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/api/emails/{sent['id']}"
    return sent


async def test_a_message_is_in_the_recipients_inbox_and_in_sent(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    sent = await send(client, HELLO)
    message = await only(world, bob)
    assert message["From"] == "alice@example.org"
    assert (message["To"], message["Subject"]) == ("Bob <bob@example.net>", "Hello")
    assert message.get_content() == "A text.\r\n"
    assert sent["messageId"] == message["Message-ID"].strip("<>")
    assert sent["messageId"].endswith(f"@{SERVER_NAME}")
    assert sent["recipients"] == [{"address": "bob@example.net", "state": "delivered"}]
    assert sent.keys() == {"id", "messageId", "threadId", "recipients"}
    (copy,) = (await world.store.snapshot(alice, "Sent")).entries
    assert (str(copy.message_id), copy.flags) == (sent["id"], Flag.SEEN)
    (received,) = (await world.store.snapshot(bob)).entries
    assert received.flags == 0
    (rendering,) = await world.store.renderings(bob, [received.message_id])
    assert rendering is not None
    assert rendering.thread == sent["threadId"]


async def test_the_trace_fields_say_http_and_name_client_and_only_recipient(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    await send(client, HELLO)
    message = await only(world, bob)
    assert message["Return-Path"] == "<alice@example.org>"
    received = " ".join(message["Received"].split())
    assert received.startswith(f"from [{CLIENT_ADDRESS}] ([{CLIENT_ADDRESS}]) by {SERVER_NAME} with HTTP id ")
    assert " for <bob@example.net>; " in received


async def test_no_reader_sees_the_blind_copies(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    carol = AccountId((await world.add_user("carol@example.net", "carol")).id)
    await send(client, {**HELLO, "bcc": [{"address": "carol@example.net"}]})
    for account_id, mailbox in ((bob, "INBOX"), (carol, "INBOX"), (alice, "Sent")):
        (raw,) = await raw_of(world, account_id, mailbox)
        assert b"carol" not in raw


async def test_recipients_elsewhere_are_queued_and_told(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    body = {**HELLO, "cc": [{"address": "eve@elsewhere.example"}]}
    sent = await send(client, body)
    assert [each["state"] for each in sent["recipients"]] == ["delivered", "queued"]
    (row,) = (await world.store.queue.find(QueueFilter(), 10)).items
    assert (row.address, row.domain, row.sender) == ("eve@elsewhere.example", "elsewhere.example", "alice@example.org")
    assert (row.account_id, row.header_message_id) == (alice, sent["messageId"])
    events = await world.store.events.find(EventQuery())
    names = [EventName.RECEIVED, EventName.DELIVERED, EventName.QUEUED, EventName.APPENDED]  # the last in \\Sent
    assert [each.name for each in events] == names
    assert {each.service for each in events} == {"api"}
    assert {str(each.message_id) for each in events} == {sent["id"]}
    assert events[0].client == CLIENT_ADDRESS
    assert events[0].detail["protocol"] == "HTTP"
    assert events[1].detail["mailbox"] == "INBOX"


async def test_mail_beyond_a_limit_is_held_and_the_sender_is_told(world: MemoryBackend, alice: AccountId) -> None:
    app = create_api(world, sending_limits=(SendingLimit(86_400, 1),))
    async with create_client(app, "alice") as client:
        states = []
        for number in range(2):
            sent = await send(client, {**HELLO, "to": [{"address": f"{number}@elsewhere.example"}]})
            states += [each["state"] for each in sent["recipients"]]
    assert states == ["queued", "held"]
    held = (await world.store.queue.find(QueueFilter(state=QueueState.HELD), 10)).items
    assert [row.address for row in held] == ["1@elsewhere.example"]
    assert (await only(world, alice))["Subject"] == "Your mail to other servers is held"


async def test_refused_recipients_are_named_with_their_reasons_and_nothing_is_sent(
    world: MemoryBackend, alice: AccountId, bob: AccountId
) -> None:
    full = await world.accounts.add_user("full@example.net", quota=10)
    app = create_api(world, routing=LocalOnly(CachedDirectory(world.accounts)))
    addresses = ["bob@example.net", "nobody@example.net", "eve@elsewhere.example", "full@example.net"]
    async with create_client(app, "alice") as client:
        problem = await send(client, {**HELLO, "to": [{"address": each} for each in addresses]}, 422)
    assert problem["recipients"] == [
        {"address": "nobody@example.net", "reason": "there is no such user here"},
        {"address": "eve@elsewhere.example", "reason": "mail to other servers is not sent from here"},
        {"address": "full@example.net", "reason": "the mailbox has no room for the message"},
    ]
    for account_id in (alice, bob, AccountId(full.id)):
        assert not await raw_of(world, account_id)
    assert not await raw_of(world, alice, "Sent")


async def test_a_message_that_fills_the_senders_own_mailbox_is_not_sent(world: MemoryBackend, bob: AccountId) -> None:
    user = await world.add_user("small@example.org", "small", [Scope.APP])
    await world.accounts.set_quota(user.id, 10)
    async with create_client(create_api(world), "small") as client:
        assert "room" in (await send(client, HELLO, 422))["detail"]
    assert not await raw_of(world, bob)


@pytest.mark.parametrize("address", ["boss@example.org", "bob@example.net", "alice@example.com"])
async def test_from_must_be_an_own_address(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, address: str
) -> None:
    assert "From" in (await send(client, {**HELLO, "from": {"address": address}}, 422))["detail"]
    forged = f"From: {address}\r\nTo: bob@example.net\r\n\r\n".encode()
    expect_problem(await client.post(SEND, content=forged, headers=MIME), 422)
    two = f"From: alice@example.org\r\nFrom: {address}\r\nTo: bob@example.net\r\n\r\n".encode()
    expect_problem(await client.post(SEND, content=two, headers=MIME), 422)
    assert not await raw_of(world, bob)


async def test_from_may_be_an_alias_with_a_name(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    await world.accounts.add_alias((await world.accounts.user_by_address("alice@example.org")).id, "al@example.org")
    await send(client, {**HELLO, "from": {"address": "al@example.org", "name": "Alice Ä, Ltd."}})
    message = await only(world, bob)
    (author,) = message["From"].addresses
    assert (author.display_name, author.addr_spec) == ("Alice Ä, Ltd.", "al@example.org")
    assert message["Return-Path"] == "<al@example.org>"


async def test_text_html_inline_images_and_files_are_mime(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    picture, report = bytes(range(256)) * 20, b"%PDF\n" * 100
    image = {"fileName": "a.png", "contentType": "image/png", "contentBase64": b64encode(picture).decode()}
    paper = {"fileName": 'Übersicht;"1".pdf', "contentType": "application/pdf"}
    files = [{**image, "contentId": "a"}, {**paper, "contentBase64": b64encode(report).decode()}]
    text, html = "Grüße\n" + "x" * 2000 + "\n.\nFrom me\n", '<p>ä <img src="cid:a"></p>\n'
    await send(client, {**HELLO, "textBody": text, "htmlBody": html, "attachments": files})
    message = await only(world, bob)
    assert message.get_content_type() == "multipart/mixed"
    plain, rich = message.get_body(["plain"]), message.get_body(["html"])
    assert plain is not None
    assert rich is not None
    assert [part.get_content().replace("\r\n", "\n") for part in (plain, rich)] == [text, html]
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ('Übersicht;"1".pdf', report)
    (inline,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert (inline["Content-ID"], inline.get_content_disposition()) == ("<a>", "inline")
    assert isinstance(inline, EmailMessage)
    assert inline.get_content() == picture
    (raw,) = await raw_of(world, bob)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", ["textBody", "htmlBody"])
@pytest.mark.parametrize("rest", ["", "ä", "ä" * 70_000], ids=["7bit", "quoted-printable", "base64"])
async def test_only_cr_and_lf_end_a_line_of_a_text(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, name: str, rest: str
) -> None:
    separators = "\x0b\x0c\x1c\x1d\x1e" + ("\x85\u2028\u2029" if rest else "")
    text = f"a{separators}b"
    await send(client, {**HELLO, "textBody": None, name: f"{text}\r\n{text}\r{text}\n\n{rest}"})
    message = await only(world, bob)
    assert message.get_content() == "\r\n".join([text, text, text, "", rest]) + ("\r\n" if rest else "")


@pytest.mark.parametrize("name", ["textBody", "htmlBody"])
async def test_nul_in_a_text_is_refused(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, name: str
) -> None:  # RFC 2045 §2.7
    problem = await send(client, {**HELLO, name: "a\0b"}, 422)
    assert problem["detail"] == "a text has NUL, which mail cannot have"
    assert not await raw_of(world, bob)


@pytest.mark.parametrize(
    "subject", ["", "Grüße an alle", "=?utf-8?q?no?= encoded word", "word " * 180, "ä" * 900, "x" * 900, "日本 " * 200]
)
async def test_any_subject_and_name_arrive_as_they_are(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, subject: str
) -> None:
    name = subject[:250].strip()
    await send(client, {**HELLO, "subject": subject, "to": [{**BOB, "name": name}]})
    assert (await only(world, bob))["Subject"].rstrip() == subject.rstrip()
    (raw,) = await raw_of(world, bob)
    index = index_message(raw)
    assert (index.subject.rstrip(), index.to) == (subject.rstrip(), (Address(name, "bob@example.net"),))


@pytest.mark.parametrize("character", ["\r", "\n", "\r\nBcc: eve@example.net", "\0", "\x85", "\u2028", "\x1b"])
@pytest.mark.parametrize(
    "place", ["subject", "name", "address", "from", "replyTo", "fileName", "contentType", "contentId"]
)
async def test_a_value_cannot_add_a_field(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, place: str, character: str
) -> None:
    evil = f"a{character}b"
    attachment = {"fileName": "a", "contentBase64": ""}
    bodies: dict[str, dict[str, Any]] = {
        "subject": {**HELLO, "subject": evil},
        "name": {**HELLO, "to": [{**BOB, "name": evil}]},
        "address": {**HELLO, "to": [{"address": f"bob@example.net{character}"}]},
        "from": {**HELLO, "from": {"address": "alice@example.org", "name": evil}},
        "replyTo": {**HELLO, "replyTo": {"address": "alice@example.org", "name": evil}},
        "fileName": {**HELLO, "attachments": [{**attachment, "fileName": evil}]},
        "contentType": {**HELLO, "attachments": [{**attachment, "contentType": f"text/a{character}"}]},
        "contentId": {**HELLO, "attachments": [{**attachment, "contentId": evil}]},
    }
    await send(client, bodies[place], 422)
    assert not await raw_of(world, bob)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to": []},
        {**HELLO, "to": [{"address": "bob"}]},
        {**HELLO, "to": [{"address": "bob@example.net, eve@example.net"}]},
        {**HELLO, "to": [{"address": "<bob@example.net>"}]},
        {**HELLO, "to": [{"address": f"{number}@example.net"} for number in range(101)]},
        {**HELLO, "subject": "x" * 901},
        {**HELLO, "headers": {"X-Evil": "1"}},
        {**HELLO, "attachments": [{"fileName": "a", "contentBase64": "%%%%"}]},
        {**HELLO, "attachments": [{"fileName": "a", "contentBase64": "", "contentType": "multipart/mixed"}]},
        {**HELLO, "attachments": [{"fileName": "a", "contentBase64": "", "contentType": "text/html; charset=x"}]},
        {**HELLO, "attachments": [{"fileName": "a", "contentBase64": ""}] * 101},
    ],
)
async def test_a_message_that_is_not_valid_is_refused(
    client: httpx.AsyncClient, alice: AccountId, world: MemoryBackend, body: dict[str, Any]
) -> None:
    await send(client, body, 422)
    assert not await raw_of(world, alice, "Sent")


# --- a MIME message as it is


async def test_a_message_as_it_is_goes_to_the_addresses_in_its_header(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    raw = (
        b"From: Alice <alice@example.org>\r\nReturn-Path: <eve@example.net>\r\nBcc: eve@elsewhere.example\r\n"
        b"To: friends: bob@example.net, BOB@example.net;\r\nSubject: as it is\r\nMessage-ID: <own@example.org>\r\n"
        b"X-Own: kept\r\n\r\n\tbody \xff\r\n"
    )
    response = await client.post(SEND, content=raw, headers=MIME)
    assert response.status_code == 201, response.text
    sent = response.json()
    assert sent["messageId"] == "own@example.org"
    assert [each["address"] for each in sent["recipients"]] == ["BOB@example.net", "eve@elsewhere.example"]
    (stored,) = await raw_of(world, bob)
    assert stored.endswith(b"\r\nX-Own: kept\r\n\r\n\tbody \xff\r\n")
    assert b"eve" not in stored
    assert stored.count(b"\nDate: ") == 1
    (row,) = (await world.store.queue.find(QueueFilter(), 10)).items
    assert row.address == "eve@elsewhere.example"
    assert (await raw_of(world, alice, "Sent")) == [stored]


async def test_lines_of_a_message_may_end_as_in_a_unix_file(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    response = await client.post(SEND, content=b"To: bob@example.net\nSubject: a\n\nx\r\ny\nz", headers=MIME)
    assert response.status_code == 201, response.text
    (stored,) = await raw_of(world, bob)
    assert stored.endswith(b"\r\nSubject: a\r\n\r\nx\r\ny\r\nz\r\n")
    assert b"\r\nFrom: alice@example.org\r\n" in stored


async def test_a_message_with_an_empty_message_id_is_a_thread_by_itself(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    raw = b"To: bob@example.net\r\nMessage-ID:\r\n\r\n"
    answers = [(await client.post(SEND, content=raw, headers={**MIME, FIELD: "k"})).json() for _ in range(2)]
    (copy,) = (await world.store.snapshot(alice, "Sent")).entries
    (rendering,) = await world.store.renderings(alice, [copy.message_id])
    assert rendering is not None
    assert [(each["threadId"], each["messageId"]) for each in answers] == [(rendering.thread, "")] * 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: nobody\r\n\r\n",
        b"To: bob@example.net\r\n\r\na\rb\r\n",
        b"To: bob@example.net\r\n" + b"Received: x\r\n" * 101 + b"\r\n",
        b"To: bob@example.net\r\n" * 1001 + b"\r\n",
        b"To: " + b"bob@example.net, " * 10_000 + b"\r\n\r\n",
    ],
)
async def test_a_message_that_cannot_be_sent_as_it_is_is_refused(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, raw: bytes
) -> None:
    expect_problem(await client.post(SEND, content=raw, headers=MIME), 422)
    assert not await raw_of(world, bob)


# --- limits


async def test_a_message_above_the_limit_is_refused(world: MemoryBackend, alice: AccountId) -> None:
    big = {**HELLO, "textBody": "x\n" * 50_000}
    async with create_client(create_api(world, max_content=100_000), "alice") as client:
        await send(client, big, 413)
        await send(client, {**HELLO, "textBody": "x" * 300_000}, 413)
        await send(client, {**HELLO, "textBody": "x\n" * 30_000})


async def test_a_message_without_memory_for_it_is_refused_for_now(world: MemoryBackend, alice: AccountId) -> None:
    content = ContentBudget(50_000)
    async with create_client(create_api(world, content=content), "alice") as client:
        await send(client, {**HELLO, "textBody": "x\n" * 40_000}, 503)
        assert content.used == 0
        await send(client, HELLO)
        assert content.used == 0


async def test_other_requests_keep_their_limit(client: httpx.AsyncClient) -> None:
    expect_problem(
        await client.post("/api/keys", content=b" " * 70_000, headers={"Content-Type": "application/json"}), 413
    )


@pytest.mark.parametrize("scopes", [[Scope.API_READ], [Scope.SMTP], [Scope.ADMIN]])
async def test_the_key_must_be_for_writing(world: MemoryBackend, app: FastAPI, scopes: list[Scope]) -> None:
    await world.add_user("carol@example.org", "carol", scopes)
    async with create_client(app, "carol") as client:
        await send(client, HELLO, 403)
    await world.add_user("dave@example.org", "dave", [Scope.API_WRITE])
    async with create_client(app, "dave") as client:
        await send(client, HELLO)


async def test_another_media_type_is_refused(client: httpx.AsyncClient) -> None:
    expect_problem(await client.post(SEND, content=b"{}", headers={"Content-Type": "text/plain"}), 415)
    expect_problem(await client.post(SEND, content=b"{}"), 415)


# --- Idempotency-Key


class StoreThatFails(MemoryMailStore):
    """A store that fails at deliveries: before the commit, after it, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = ""
        self.entered = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def deliver(self, delivery: Delivery) -> Receipt:
        self.entered.set()
        await self.may_go_on.wait()
        if self.failing == "before":
            raise StoreUnavailable("test")
        receipt = await super().deliver(delivery)
        if self.failing == "after":
            raise StoreUnavailable("test")
        return receipt


@pytest.fixture
async def failing() -> StoreThatFails:
    return StoreThatFails()


@pytest.fixture
async def people(failing: StoreThatFails) -> MemoryBackend:
    people = MemoryBackend(failing)
    await people.add_user("alice@example.org", "alice")
    await people.add_user("bob@example.net", "bob")
    return people


@pytest.fixture
async def sender(people: MemoryBackend) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(create_api(people), "alice") as client:
        yield client


async def received(people: MemoryBackend) -> int:
    return len(await raw_of(people, people.account))


async def test_a_repeated_request_is_answered_again_and_sends_nothing(
    people: MemoryBackend, sender: httpx.AsyncClient
) -> None:
    body = {**HELLO, "cc": [{"address": "eve@elsewhere.example"}]}
    answers = [await sender.post(SEND, json=body, headers={FIELD: key}) for key in ('"k-1"', "k-1", '"k-2"')]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() != answers[2].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert await received(people) == 2


async def test_the_key_of_another_request_is_refused(people: MemoryBackend, sender: httpx.AsyncClient) -> None:
    headers = {FIELD: "k"}
    assert (await sender.post(SEND, json=HELLO, headers=headers)).status_code == 201
    expect_problem(await sender.post(SEND, json={**HELLO, "subject": "Other"}, headers=headers), 422)
    expect_problem(await sender.post(SEND, content=b"To: bob@example.net\r\n\r\n", headers=headers | MIME), 422)
    assert await received(people) == 1


async def test_a_request_that_is_still_running_is_refused(
    people: MemoryBackend, failing: StoreThatFails, sender: httpx.AsyncClient
) -> None:
    failing.may_go_on.clear()
    first = asyncio.create_task(sender.post(SEND, json=HELLO, headers={FIELD: "k"}))
    await failing.entered.wait()
    expect_problem(await sender.post(SEND, json=HELLO, headers={FIELD: "k"}), 409)
    failing.may_go_on.set()
    assert (await first).status_code == 201
    assert await received(people) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_request_that_fails_at_the_commit_sends_once_when_it_is_repeated(
    people: MemoryBackend, failing: StoreThatFails, sender: httpx.AsyncClient, moment: str
) -> None:
    failing.failing = moment
    expect_problem(await sender.post(SEND, json=HELLO, headers={FIELD: "k"}), 503)
    failing.failing = ""
    answer = await sender.post(SEND, json=HELLO, headers={FIELD: "k"})
    assert answer.status_code == 201
    assert await received(people) == 1
    alice = await people.accounts.user_by_address("alice@example.org")
    (sent,) = await raw_of(people, AccountId(alice.id), "Sent")
    assert answer.json()["messageId"].encode() in sent


async def test_a_refused_request_may_be_corrected_with_its_key(
    people: MemoryBackend, sender: httpx.AsyncClient
) -> None:
    wrong = {**HELLO, "to": [{"address": "nobody@example.net"}]}
    expect_problem(await sender.post(SEND, json=wrong, headers={FIELD: "k"}), 422)
    assert (await sender.post(SEND, json=HELLO, headers={FIELD: "k"})).status_code == 201


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a b", "ä"])
async def test_a_malformed_key_is_refused(sender: httpx.AsyncClient, key: str) -> None:
    expect_problem(await sender.post(SEND, json=HELLO, headers=[(FIELD.encode(), key.encode("latin-1"))]), 422)


async def test_a_held_message_is_answered_as_held_again(people: MemoryBackend) -> None:
    app = create_api(people, sending_limits=(SendingLimit(3_600, 0),))
    body = {**HELLO, "to": [BOB, {"address": "eve@elsewhere.example"}]}
    async with create_client(app, "alice") as client:
        answers = [(await client.post(SEND, json=body, headers={FIELD: "k"})).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert [each["state"] for each in answers[0]["recipients"]] == ["delivered", "held"]
