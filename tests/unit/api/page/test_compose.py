"""Writing on the page: what is sent, saved and shown again."""

import asyncio
import re
from collections.abc import Sequence
from html import unescape
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Granted, Scope, UserId
from relate_api.compose import pending
from relate_api.page.views.compose.letter import MAX_TYPED_CHARACTERS
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.types import AccountId, Flag, NewMessage
from relate_wire.content_budget import ContentBudget
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api, create_client
from tests.unit.api.compose.test_sending import only, raw_of
from tests.unit.api.page.browsing import COOKIE, form_secret, sign_in

HELLO = {"to": "Bob <bob@example.net>", "subject": "Hello", "text": "A text.\r\n"}
QUESTION = (
    b"From: Carol <carol@elsewhere.example>\r\nTo: alice@example.org, Bob <bob@example.net>\r\n"
    b"Cc: dave@elsewhere.example\r\nSubject: Trip\r\nMessage-ID: <trip@elsewhere.example>\r\n"
    b"Date: Mon, 30 Nov 2026 12:30:00 +0000\r\n\r\nTrain or plane?\r\n> older\r\n"
)
FILE = ("notes.txt", b"octets of a file", "text/plain")


def value_of(page: str, name: str) -> str:
    """The value of a field of the form."""
    if name == "text":
        found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    else:
        found = re.search(rf'<input[^>]* name="{name}" value="([^"]*)"', page)
    assert found is not None, (name, page)
    return unescape(found[1])


def values_of(page: str) -> dict[str, str]:
    """The values of all fields that the form has, as a browser would send them."""
    hidden = {name for name in ("reply", "forward", "draft") if f'type="hidden" name="{name}"' in page}
    return {name: value_of(page, name) for name in ("csrf", "key", "to", "cc", "bcc", "subject", "text", *hidden)}


async def send_form(
    client: httpx.AsyncClient,
    values: dict[str, Any],
    action: str = "send",
    files: Sequence[tuple[str, bytes, str]] = (),
) -> httpx.Response:
    """Send the form."""
    parts: list[tuple[str, Any]] = [
        (name, (None, each))
        for name, value in {**values, "action": action}.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    parts += [("files", file) for file in files] or [("files", ("", b"", "application/octet-stream"))]
    return await client.post("/compose", files=parts)


async def write(client: httpx.AsyncClient, path: str = "/compose", **typed: Any) -> dict[str, Any]:
    """The values of a form in which something was typed."""
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return {**values_of(response.text), **typed}


async def save(client: httpx.AsyncClient, values: dict[str, Any], files: Sequence[tuple[str, bytes, str]] = ()) -> str:
    """Save a draft; returns its path."""
    response = await send_form(client, values, "save", files)
    assert response.status_code == 303, response.text
    path, _, told = response.headers["location"].partition("&")
    assert (path.startswith("/compose?draft="), told) == (True, "done=saved")
    return str(path)


async def deliver(world: MemoryBackend, account_id: AccountId, raw: bytes = QUESTION) -> str:
    return str((await world.store.deliver(delivery(account_id, raw=raw))).message_id)


async def drafts(world: MemoryBackend, account_id: AccountId) -> int:
    return len(await raw_of(world, account_id, "Drafts"))


async def test_a_message_with_a_file_is_sent_and_the_list_leads_to_its_journey(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    response = await send_form(visitor, await write(visitor, **HELLO), files=[FILE])
    assert response.status_code == 303, response.text
    message = await only(world, bob)
    assert (message["From"], message["To"], message["Subject"]) == (
        "alice@example.org",
        "Bob <bob@example.net>",
        "Hello",
    )
    text, file = message.iter_parts()
    assert text.get_content() == "A text.\r\n"
    assert (file.get_filename(), file.get_content_type(), file.get_payload(decode=True)) == (FILE[0], FILE[2], FILE[1])
    (copy,) = (await world.store.snapshot(alice, "Sent")).entries
    told = (await visitor.get(response.headers["location"])).text
    assert "The message was sent." in told
    assert f'href="/messages/{copy.message_id}/journey"' in told


async def test_a_second_click_and_a_repeated_form_send_once(
    world: MemoryBackend, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, **HELLO)
    answers = await asyncio.gather(*(send_form(visitor, values, files=[FILE]) for _ in range(3)))
    answers.append(await send_form(visitor, values, files=[FILE]))
    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {
        (303, answers[0].headers["location"])
    }
    assert len(await raw_of(world, bob)) == 1


async def test_another_text_of_a_form_that_was_sent_needs_another_click(
    world: MemoryBackend, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, **HELLO)
    await send_form(visitor, values)
    refused = await send_form(visitor, {**values, "text": "Another text."})
    assert refused.status_code == 422
    assert "was sent from this form before" in refused.text
    assert value_of(refused.text, "text") == "Another text."
    assert (await send_form(visitor, values_of(refused.text))).status_code == 303
    assert len(await raw_of(world, bob)) == 2


async def test_a_reply_has_addressee_subject_and_quoted_text_and_marks_the_message(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    email_id = await deliver(world, alice)
    values = await write(visitor, f"/compose?reply={email_id}")
    assert (values["to"], values["cc"], values["subject"]) == ("Carol <carol@elsewhere.example>", "", "Re: Trip")
    assert values["text"] == (
        "\n\nOn 2026-11-30 at 12:30 UTC, Carol <carol@elsewhere.example> wrote:\n> Train or plane?\n>> older\n"
    )
    assert (await send_form(visitor, values)).status_code == 303
    (entry,) = (await world.store.snapshot(alice)).entries
    assert entry.flags & Flag.ANSWERED
    sent = await only(world, alice, "Sent")
    assert sent["In-Reply-To"] == sent["References"] == "<trip@elsewhere.example>"


async def test_a_reply_to_all_has_all_but_the_author_of_the_reply(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, f"/compose?reply-all={await deliver(world, alice)}")
    assert values["to"] == "Carol <carol@elsewhere.example>, Bob <bob@example.net>"
    assert values["cc"] == "dave@elsewhere.example"


async def test_a_reply_to_html_quotes_its_text(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    raw = (
        b"From: ann@example.net\r\nContent-Type: text/html\r\n\r\n<title>x</title><p>One<br>two &amp;\r\n three</p>four"
    )
    values = await write(visitor, f"/compose?reply={await deliver(world, alice, raw)}")
    assert values["text"].endswith("wrote:\n> One\n> two & three\n> four\n")


async def test_a_forwarded_message_is_attached_and_marked(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    email_id = await deliver(world, alice)
    page = (await visitor.get(f"/compose?forward={email_id}")).text
    assert "The message “<bdi>Trip</bdi>”" in page
    assert (await send_form(visitor, {**values_of(page), "to": "bob@example.net"})).status_code == 303
    message = await only(world, bob)
    assert message["Subject"] == "Fwd: Trip"
    _, attached = message.iter_parts()
    assert attached.get_content_type() == "message/rfc822"
    (entry,) = (await world.store.snapshot(alice)).entries
    assert entry.keywords == ("$Forwarded",)


async def test_a_draft_is_saved_edited_and_sent_and_then_it_is_gone(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    path = await save(visitor, await write(visitor, **HELLO, bcc="eve@elsewhere.example"), [FILE])
    assert f'href="{path}"' in (await visitor.get("/", params={"mailbox": "Drafts"})).text
    assert "The draft was saved." in (await visitor.get(f"{path}&done=saved")).text
    values = await write(visitor, path)
    assert {name: values[name] for name in ("to", "bcc", "subject", "text")} == {
        **HELLO,
        "bcc": "eve@elsewhere.example",
    }
    path = await save(visitor, {**values, "text": "Better."}, [("more.bin", b"\0\1", "application/x-more")])
    assert await drafts(world, alice) == 1
    assert (await send_form(visitor, await write(visitor, path))).status_code == 303
    assert await drafts(world, alice) == 0
    text, first, second = (await only(world, bob)).iter_parts()
    assert text.get_content() == "Better.\r\n"
    assert [each.get_filename() for each in (first, second)] == ["notes.txt", "more.bin"]
    assert [each.get_payload(decode=True) for each in (first, second)] == [FILE[1], b"\0\1"]


async def test_an_attachment_of_a_draft_is_removed(
    world: MemoryBackend, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    path = await save(visitor, await write(visitor, **HELLO), [FILE, ("more.txt", b"more", "text/plain")])
    assert (await send_form(visitor, await write(visitor, path, remove=["2"]))).status_code == 303
    _, kept = (await only(world, bob)).iter_parts()
    assert kept.get_filename() == "more.txt"


@pytest.mark.parametrize(("kind", "marked"), [("reply", (Flag.ANSWERED, ())), ("forward", (Flag(0), ("$Forwarded",)))])
async def test_a_draft_keeps_what_it_answers(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient, kind: str, marked: object
) -> None:
    email_id = await deliver(world, alice)
    path = await save(visitor, await write(visitor, f"/compose?{kind}={email_id}", to="bob@example.net"))
    path = await save(visitor, await write(visitor, path, text="Edited."))
    assert (await send_form(visitor, await write(visitor, path))).status_code == 303
    (entry,) = (await world.store.snapshot(alice)).entries
    assert (entry.flags, entry.keywords) == marked
    sent = await only(world, alice, "Sent")
    assert (sent["In-Reply-To"] or "") == ("<trip@elsewhere.example>" if kind == "reply" else "")
    assert len([*sent.iter_attachments()]) == (0 if kind == "reply" else 1)
    assert pending.FIELD not in sent


async def test_a_forwarded_message_that_is_removed_from_the_draft_is_not_marked(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    path = await save(visitor, await write(visitor, f"/compose?forward={await deliver(world, alice)}"))
    await send_form(visitor, await write(visitor, path, to="bob@example.net", remove=["2"]))
    (entry,) = (await world.store.snapshot(alice)).entries
    assert entry.keywords == ()


async def test_a_draft_of_a_mail_program_keeps_its_place_in_the_thread(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    raw = (
        b"From: alice@example.org\r\nTo: bob@example.net\r\nReferences: <1@x> <2@x>\r\nIn-Reply-To: <2@x>\r\n"
        b"Content-Type: text/html\r\n\r\n<p>Hello"
    )
    await world.store.provision(alice)
    await world.store.append(alice, "Drafts", [NewMessage(raw, Flag.DRAFT)])
    (entry,) = (await world.store.snapshot(alice, "Drafts")).entries
    values = await write(visitor, f"/compose?draft={entry.message_id}")
    assert values["text"] == "Hello"
    assert "The draft has formatted text." in (await visitor.get(f"/compose?draft={entry.message_id}")).text
    assert (await send_form(visitor, values)).status_code == 303
    sent = await only(world, alice, "Sent")
    assert (sent["In-Reply-To"], sent["References"].split()) == ("<2@x>", ["<1@x>", "<2@x>"])


async def test_a_draft_that_is_but_a_file_keeps_it(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    raw = (
        b"From: alice@example.org\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n'
    )
    await world.store.provision(alice)
    await world.store.append(alice, "Drafts", [NewMessage(raw, Flag.DRAFT)])
    (entry,) = (await world.store.snapshot(alice, "Drafts")).entries
    assert (await send_form(visitor, await write(visitor, f"/compose?draft={entry.message_id}"))).status_code == 303
    text, file = (await only(world, bob)).iter_parts()
    assert text.get_content_type() == "text/plain"
    assert (file.get_filename(), file.get_payload(decode=True), file["To"]) == ("a.pdf", b"%PDF", None)


async def test_a_draft_shares_the_memory_for_content(world: MemoryBackend, alice: AccountId) -> None:
    async with create_client(create_api(world)) as client:
        await sign_in(client, "alice")
        path = await save(client, await write(client, **HELLO), [("a", b"x" * 20_000, "text/plain")])
    async with create_client(create_api(world, content=ContentBudget(10_000))) as client:
        await sign_in(client, "alice")
        response = await send_form(client, await write(client, path))
    assert response.status_code == 503
    assert "Too many large messages at once." in response.text
    assert await drafts(world, alice) == 1


async def test_a_draft_is_discarded(world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient) -> None:
    values = await write(visitor, await save(visitor, await write(visitor, **HELLO)))
    for _ in range(2):
        response = await send_form(visitor, values, "discard")
        assert (response.status_code, response.headers["location"]) == (303, "/?done=discarded")
    assert await drafts(world, alice) == 0


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"to": ""}, "to", "Name a recipient"),
        ({"to": "", "bcc": ";"}, "to", "Name a recipient"),
        ({"to": "bob"}, "to", "Not an email address: bob."),
        ({"cc": "bob@example.net, <>"}, "cc", "Not an email address"),
        ({"bcc": "()"}, "bcc", "There is no email address"),
        ({"to": "nobody@example.net"}, "to", "nobody@example.net: there is no such user here."),
        ({"cc": "nobody@example.net"}, "cc", "nobody@example.net: there is no such user here."),
        ({"subject": "x" * 901}, "subject", "at most 900 characters"),
        ({"to": "a@b.example," * 1_000}, "to", "at most 999 addresses"),
        ({"text": "x" * 1_000_001}, "text", "A message has at most 1000000 octets."),
    ],
    ids=range(10),
)
async def test_what_is_refused_is_told_beside_its_field_and_nothing_typed_is_lost(
    world: MemoryBackend, visitor: httpx.AsyncClient, typed: dict[str, str], field: str, sentence: str
) -> None:
    values = await write(visitor, **HELLO | typed)
    response = await send_form(visitor, values)
    assert response.status_code == (413 if field == "text" else 422), response.text
    error = re.search(rf'<p class="error" id="{field}-error">(.*?)</p>', response.text)
    assert error is not None, response.text
    assert sentence in unescape(error[1])
    described = re.search(rf'<(?:input|textarea) id="{field}"[^>]*>', response.text)
    assert described is not None
    assert f'aria-describedby="{field}-error' in described[0]
    assert 'aria-invalid="true"' in described[0]
    assert {name: value_of(response.text, name) for name in HELLO} == {name: values[name] for name in HELLO}
    assert not await world.store.events.find(EventQuery(EventName.RECEIVED))


async def test_files_of_a_form_that_is_refused_are_kept_in_a_draft(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    email_id = await deliver(world, alice)
    values = await write(visitor, f"/compose?reply={email_id}", to="nobody@example.net")
    refused = await send_form(visitor, values, files=[FILE])
    assert refused.status_code == 422
    assert "kept in a draft" in refused.text
    again = {**values_of(refused.text), "to": "bob@example.net"}
    assert (await send_form(visitor, again)).status_code == 303
    assert await drafts(world, alice) == 0
    (file,) = (await only(world, bob)).iter_attachments()
    assert file.get_filename() == FILE[0]
    (entry,) = (await world.store.snapshot(alice)).entries
    assert entry.flags & Flag.ANSWERED


async def test_files_that_are_too_large_are_to_be_chosen_again(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    response = await send_form(visitor, await write(visitor, **HELLO), files=[("big", b"x" * 900_000, "text/plain")])
    assert response.status_code == 413
    assert "A message has at most 1000000 octets. Choose the files again" in response.text
    assert value_of(response.text, "subject") == "Hello"
    assert await drafts(world, alice) == 0


async def test_a_huge_body_is_refused_with_a_page(visitor: httpx.AsyncClient) -> None:
    values = await write(visitor, **HELLO)
    response = await send_form(visitor, values, files=[("huge", b"x" * 1_100_000, "text/plain")])
    assert response.status_code == 413
    assert "<h1>Request Entity Too Large</h1>" in response.text or "<h1>Content Too Large</h1>" in response.text


async def test_forms_share_the_memory_for_content(world: MemoryBackend, alice: AccountId) -> None:
    app = create_api(world, content=ContentBudget(1_000))
    async with create_client(app) as client:
        await sign_in(client, "alice")
        response = await send_form(client, await write(client, **HELLO), files=[("a", b"x" * 2_000, "text/plain")])
    assert response.status_code == 503
    assert "too many large messages" in response.text


async def test_a_message_over_the_senders_limit_waits_and_that_is_told(world: MemoryBackend, alice: AccountId) -> None:
    app = create_api(world, sending_limits=(SendingLimit(3_600, 1),))
    async with create_client(app) as client:
        await sign_in(client, "alice")
        values = await write(client, **{**HELLO, "to": "a@elsewhere.example, b@elsewhere.example"})
        response = await send_form(client, values)
        assert "done=held" in response.headers["location"]
        assert "waits for an administrator" in (await client.get(response.headers["location"])).text


async def test_a_mailbox_without_room_is_told(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    await world.accounts.set_quota(UserId(alice), 10)
    sent = await send_form(visitor, await write(visitor, **HELLO))
    assert sent.status_code == 422
    assert "Nothing was sent: your mailbox or a recipient" in unescape(sent.text)
    saved = await send_form(visitor, values_of(sent.text), "save")
    assert saved.status_code == 507
    assert "Your mailbox has no room for the draft." in saved.text
    assert value_of(saved.text, "subject") == "Hello"


async def test_a_store_that_is_not_available_leaves_the_text(
    world: MemoryBackend, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = await write(visitor, **HELLO)

    async def fail(*_: object) -> None:
        raise StoreUnavailable

    for name in ("deliver", "mailboxes"):
        monkeypatch.setattr(world.store, name, fail)
    response = await send_form(visitor, values)
    assert response.status_code == 503
    assert "not available at the moment: nothing was sent or saved" in response.text
    assert {name: value_of(response.text, name) for name in HELLO} == HELLO


async def test_what_was_deleted_elsewhere_leaves_the_text(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, await save(visitor, await write(visitor, **HELLO)))
    await world.store.delete_message(alice, (await world.store.snapshot(alice, "Drafts")).entries[0].message_id)
    refused = await send_form(visitor, values)
    assert refused.status_code == 404
    assert "was changed or deleted elsewhere" in refused.text
    assert (await send_form(visitor, values_of(refused.text))).status_code == 303
    assert len(await raw_of(world, bob)) == 1


async def test_the_event_log_tells_of_what_is_refused(world: MemoryBackend, visitor: httpx.AsyncClient) -> None:
    await send_form(visitor, await write(visitor, **{**HELLO, "to": "nobody@example.net"}))
    (event,) = await world.store.events.find(EventQuery(EventName.REFUSED))
    assert (event.recipient, event.detail["command"]) == ("nobody@example.net", "POST /compose")


@pytest.mark.parametrize("name", ["reply", "reply-all", "forward", "draft"])
async def test_a_message_of_another_user_is_one_that_does_not_exist(
    world: MemoryBackend, bob: AccountId, visitor: httpx.AsyncClient, name: str
) -> None:
    foreign = await deliver(world, bob)
    answers = [await visitor.get("/compose", params={name: each}) for each in (foreign, str(uuid4()))]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].content == answers[1].content


async def test_a_received_message_is_no_draft(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    assert (await visitor.get(f"/compose?draft={await deliver(world, alice)}")).status_code == 404


async def test_who_may_not_read_quotes_nothing(
    world: MemoryBackend, app: FastAPI, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    email_id, user = await deliver(world, alice), await world.accounts.user(UserId(alice))
    key = (await world.accounts.create_key(user.id, "writer", [Scope.API_WRITE])).key
    stranger.cookies.set(COOKIE, await app.state.sessions.begin(Granted(user, key.id, key.name, key.scopes)))
    assert (await stranger.get("/compose")).status_code == 200
    assert (await stranger.get(f"/compose?reply={email_id}")).status_code == 403


async def test_who_has_several_addresses_chooses_one(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    await world.accounts.add_alias(UserId(alice), "office@example.org")
    raw = b"From: carol@elsewhere.example\r\nTo: office@example.org\r\n\r\nHello\r\n"
    page = (await visitor.get(f"/compose?reply={await deliver(world, alice, raw)}")).text
    assert "<option selected>office@example.org</option>" in page
    values = {**values_of(page), "to": "bob@example.net", "sender": "office@example.org"}
    assert (await send_form(visitor, values)).status_code == 303
    assert (await only(world, bob))["From"] == "office@example.org"
    refused = await send_form(visitor, await write(visitor, **HELLO, sender="eve@example.net"))
    assert 'id="sender-error"' in refused.text


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 422),
        ("multipart/form-data; boundary=x", b"not a form", 422),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n", 422),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 202, 422),
        ("multipart/form-data; boundary=x", b"", 422),
    ],
    ids=range(6),
)
async def test_what_is_no_form_is_refused_with_a_page(
    visitor: httpx.AsyncClient, content_type: str, body: bytes, status: int
) -> None:
    response = await visitor.post("/compose", content=body, headers={"Content-Type": content_type})
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("text/html")


async def test_a_sent_message_tells_where_it_is_for_each_recipient(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    await send_form(visitor, await write(visitor, **{**HELLO, "cc": "eve@elsewhere.example"}))
    (copy,) = (await world.store.snapshot(alice, "Sent")).entries
    page = " ".join((await visitor.get(f"/messages/{copy.message_id}")).text.split())
    assert '<bdi>bob@example.net</bdi> <span class="state good">Delivered</span>' in page
    assert '<bdi>eve@elsewhere.example</bdi> <span class="state waiting">Queued</span>' in page
    for button in ("reply", "reply-all", "forward"):
        assert f'href="/compose?{button}={copy.message_id}"' in page


async def test_a_draft_is_edited_from_its_page(visitor: httpx.AsyncClient) -> None:
    path = await save(visitor, await write(visitor, **HELLO))
    draft = UUID(path.removeprefix("/compose?draft="))
    assert f'href="{path}">Edit the draft</a>' in (await visitor.get(f"/messages/{draft}")).text


async def test_addresses_and_subject_of_a_link_are_in_the_form(visitor: httpx.AsyncClient) -> None:
    values = await write(visitor, "/compose?to=bob@example.net&subject=Hi")
    assert (values["to"], values["subject"]) == ("bob@example.net", "Hi")
    assert form_secret(await visitor.get("/compose")) == values["csrf"]


async def test_each_refused_address_is_told_once_beside_its_field_and_not_all_of_many(
    visitor: httpx.AsyncClient,
) -> None:
    names = {name: [f"{name}{number}@example.org" for number in range(30)] for name in ("to", "bcc")}
    typed = {name: ", ".join(addresses) for name, addresses in names.items()}
    response = await send_form(visitor, {**await write(visitor), **typed})
    assert response.status_code == 422
    for name, addresses in names.items():
        found = re.search(rf'id="{name}-error">([^<]*)<', response.text)
        assert found is not None
        assert [each in found[1] for each in addresses] == [True] * 20 + [False] * 10
        assert "So are 10 more." in found[1]


async def test_fields_that_are_too_long_to_be_shown_again_are_refused_with_a_page(visitor: httpx.AsyncClient) -> None:
    response = await send_form(visitor, {**await write(visitor), "text": "x" * (MAX_TYPED_CHARACTERS + 1)})
    assert response.status_code == 413
    assert "attach the text as a file" in response.text
    assert len(response.text) < 10_000


async def test_a_draft_that_is_too_long_for_the_form_is_not_cut(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    raw = b"Subject: Long\r\n\r\n" + b"a line of text\r\n" * 80_000
    await world.store.provision(alice)
    appended = await world.store.append(alice, "Drafts", [NewMessage(raw, Flag.DRAFT)])
    entry = (await world.store.snapshot(alice, "Drafts")).entries.find(appended.uids[0])
    assert entry is not None
    response = await visitor.get(f"/compose?draft={entry.message_id}")
    assert response.status_code == 422
    assert "too long for this page" in response.text


async def test_a_catch_all_is_no_address_to_write_from(
    world: MemoryBackend, alice: AccountId, visitor: httpx.AsyncClient
) -> None:
    await world.accounts.add_alias(UserId(alice), "*@catch.example")
    assert "*@catch.example" not in (await visitor.get("/compose")).text
    response = await send_form(visitor, {**await write(visitor, **HELLO), "sender": "*@catch.example"})
    assert response.status_code == 422


async def test_the_address_of_a_form_finds_the_form_that_sends_once(
    world: MemoryBackend, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, **HELLO)
    assert (await send_form(visitor, values)).status_code == 303
    again = await write(visitor, f"/compose?key={values['key']}", **HELLO)
    assert again["key"] == values["key"]
    assert (await send_form(visitor, again)).status_code == 303
    await only(world, bob)
    other = await write(visitor, "/compose?key=%00")
    assert other["key"] not in {"", values["key"]}


async def test_a_form_of_another_session_is_shown_again_and_keeps_no_files(
    world: MemoryBackend, alice: AccountId, bob: AccountId, visitor: httpx.AsyncClient
) -> None:
    values = await write(visitor, **HELLO)
    response = await send_form(visitor, {**values, "csrf": "of another session"}, files=[FILE])
    assert response.status_code == 403
    assert "signed in again" in response.text
    assert value_of(response.text, "text").splitlines() == ["A text."]
    assert await drafts(world, alice) == 0
    assert (await send_form(visitor, values_of(response.text))).status_code == 303
    await only(world, bob)


async def test_a_sign_in_leads_back_to_the_form(visitor: httpx.AsyncClient) -> None:
    values = await write(visitor)
    del visitor.cookies[COOKIE]
    form = "/compose?reply=1&key=k"
    visitor.headers["Referer"] = f"https://mail.example.org{form}"
    response = await send_form(visitor, values)
    assert response.headers["location"] == f"/sign-in?{urlencode({'ended': 'true', 'next': form})}"
    visitor.headers["Referer"] = "https://mail.example.org/somewhere/else"
    assert (await send_form(visitor, values)).headers["location"] == "/sign-in?ended=true"
