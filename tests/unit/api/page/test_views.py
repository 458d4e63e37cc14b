"""What the page shows, and what its forms change."""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from html import unescape
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from relate_api.emails.threads import THREAD_TEXT_OCTETS
from relate_api.page.shown import (
    MAX_LINE_CHARACTERS,
    MAX_LINKS,
    file_size,
    mailbox_label,
    moment,
    one_line,
    plain_text,
    property_words,
)
from relate_api.page.views.mail import changes
from relate_api.page.views.mail.mail_list import PAGE_ITEMS
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MessageId
from tests.support.factories import delivery, multipart, simple
from tests.support.hostile_html import HOSTILE_TEXTS, SCRIPT
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.browsing import act, places

ROUTES_OF_A_MESSAGE = ("", "/html", "/source", "/journey", "/file", "/attachments/2")


async def deliver(world: MemoryBackend, account_id: AccountId, raw: bytes) -> MessageId:
    message_id = (await world.store.deliver(delivery(account_id, raw=raw))).message_id
    assert message_id is not None
    return message_id


def hostile_message(text: str) -> bytes:
    message = EmailMessage()
    message["From"] = Address(text, "mallory", "example.net")
    message["To"] = Address(text, "alice", "example.org")
    message["Subject"] = text
    message["Message-ID"] = "<hostile@example.net>"
    message.set_content(text)
    message.add_attachment(b"x", maintype="text", subtype="html", filename=text)
    return message.as_bytes().replace(b"\n", b"\r\n")


async def test_the_list_has_the_mailboxes_and_their_mail(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, multipart())
    response = await visitor.get("/")
    assert response.status_code == 200
    assert f'href="/messages/{message_id}"' in response.text
    for name in ("Inbox", "Archive", "Drafts", "Junk", "Sent", "Trash"):
        assert f"<bdi>{name}</bdi>" in response.text
    assert "1 message, 1 unread" in " ".join(response.text.split())
    assert "1 file" in response.text


async def test_pages_of_the_list_follow_each_other(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    ids = [await deliver(world, alice, simple()) for _ in range(51)]
    first = await visitor.get("/")
    older = first.text.split('" rel="next"')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    second = await visitor.get(older)
    shown = [sum(f'href="/messages/{each}"' in page.text for each in ids) for page in (first, second)]
    assert shown == [50, 1]
    assert "Newest" in second.text


async def test_a_search_finds_mail_in_all_mailboxes(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await act(visitor, "move", message_id, mailbox="Archive")
    found = await visitor.get("/", params={"q": "is:unread in:Archive"})
    assert f'href="/messages/{message_id}?q=is%3Aunread+in%3AArchive"' in found.text
    assert f'href="/messages/{message_id}?q=is%3Aunread"' in (await visitor.get("/", params={"q": "is:unread"})).text


@pytest.mark.parametrize("parameters", [{"mailbox": "Work"}, {"q": "in:Work"}])
async def test_a_message_leads_to_those_beside_it_and_back_to_the_list(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, parameters: dict[str, str]
) -> None:
    await world.store.create_mailbox(alice, "Work")
    oldest, middle, newest = [
        (await world.store.deliver(delivery(Destination(alice, "Work"), raw=simple(), internal_date=second))).message_id
        for second in (1_700_000_000, 1_700_000_001, 1_700_000_002)
    ]
    await deliver(world, alice, simple())
    query = urlencode(parameters)
    text = (await visitor.get(f"/messages/{middle}", params=parameters)).text
    assert ("← Search" in text) is ("q" in parameters)
    assert f'href="/?{query}"' in text
    assert f'<a href="/messages/{newest}?{query}" rel="prev">' in text
    assert f'<a href="/messages/{oldest}?{query}" rel="next">' in text
    assert 'rel="prev"' not in (await visitor.get(f"/messages/{newest}", params=parameters)).text
    assert 'rel="next"' not in (await visitor.get(f"/messages/{oldest}", params=parameters)).text


async def test_a_message_of_a_search_that_is_not_valid_is_shown(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    assert (await visitor.get(f"/messages/{message_id}", params={"q": "before:never"})).status_code == 200


@pytest.mark.parametrize("path", ["/?mailbox=nowhere", "/nowhere", "/messages/nowhere"])
async def test_an_address_without_a_page_is_told_as_one(visitor: httpx.AsyncClient, path: str) -> None:
    response = await visitor.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "There is nothing at this address." in response.text


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/sign-out", "/"),
        ("/messages/actions", "/"),
        ("/admin/queue/actions", "/admin/queue"),
        ("/admin/users/1/keys", "/admin/users/1"),
        ("/admin/domains/b%C3%BCcher.example/look-up", "/admin/domains/b%C3%BCcher.example"),
        ("/admin/domains/%22%3E%3Cb%3E/look-up", "/admin/domains/%22%3E%3Cb%3E"),
    ],
)
async def test_the_address_of_a_form_leads_to_the_page_above_it(
    visitor: httpx.AsyncClient, path: str, above: str
) -> None:
    response = await visitor.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"].startswith("text/html")
    assert f'because it only receives a form. <a href="{above}">Back</a>' in response.text
    program = await visitor.get(path)
    assert (program.status_code, program.headers["content-type"]) == (405, "application/problem+json")


async def test_a_form_that_no_address_takes_is_an_error_page(visitor: httpx.AsyncClient) -> None:
    response = await visitor.post("/admin", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert "<h1>Method Not Allowed</h1>" in response.text


@pytest.mark.parametrize("path", ["/nowhere", "/api/nowhere"])
async def test_a_program_is_told_by_a_problem_that_nothing_is_there(visitor: httpx.AsyncClient, path: str) -> None:
    accept = "text/html" if path.startswith("/api/") else "*/*"
    response = await visitor.get(path, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert "Nothing matches" in (await visitor.get("/", params={"q": "in:INBOX"})).text


async def test_a_wrong_search_says_where_it_is_wrong(visitor: httpx.AsyncClient) -> None:
    response = await visitor.get("/", params={"q": 'from:ann <b>:"'})
    assert response.status_code == 200
    assert (await visitor.get("/", params={"q": "nope:x"})).text.count("at character 1") == 1
    assert "<b>" not in response.text


async def test_a_wrong_cursor_is_an_error_page(visitor: httpx.AsyncClient) -> None:
    response = await visitor.get("/", params={"cursor": "wrong"})
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/html")


async def test_a_message_is_shown_with_its_text_and_files(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, multipart())
    response = await visitor.get(f"/messages/{message_id}")
    assert response.status_code == 200
    assert f'href="/messages/{message_id}/attachments/2"' in response.text
    saved = await visitor.get(f"/messages/{message_id}/attachments/2")
    assert saved.headers["content-disposition"].startswith("attachment")
    source = await visitor.get(f"/messages/{message_id}/source")
    assert source.content == multipart()
    assert source.headers["content-type"] == "text/plain; charset=utf-8"


async def test_showing_a_message_changes_nothing(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await visitor.get(f"/messages/{message_id}")
    assert not (await world.store.message(alice, message_id)).flags & Flag.SEEN


async def test_html_is_shown_in_a_sandboxed_frame_without_remote_images(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    raw = (
        b"From: ann@example.net\r\nContent-Type: text/html\r\n\r\n"
        b'<p>Hello</p><img src="https://tracker.invalid/p.gif"><script>x</script>'
    )
    message_id = await deliver(world, alice, raw)
    page = (await visitor.get(f"/messages/{message_id}")).text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "1 remote image is not loaded" in page
    assert "Hello" not in page.split("<iframe")[1]  # the frame's document is another one
    frame = await visitor.get(f"/messages/{message_id}/html")
    assert "<p>Hello</p>" in frame.text
    assert "tracker.invalid" not in frame.text
    assert "<script" not in frame.text
    allowed = await visitor.get(f"/messages/{message_id}/html", params={"images": "true"})
    assert 'src="https://tracker.invalid/p.gif"' in allowed.text


async def test_images_in_the_message_are_in_the_document(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message = EmailMessage()
    message["From"] = "ann@example.net"
    message.set_content("Hello")
    message.add_alternative('<img src="cid:logo@example"><img src="cid:missing">', subtype="html")
    message.get_payload()[1].add_related(b"octets", "image", "png", cid="<logo@example>")  # type: ignore[index, union-attr]
    message_id = await deliver(world, alice, message.as_bytes().replace(b"\n", b"\r\n"))
    frame = (await visitor.get(f"/messages/{message_id}/html")).text
    assert 'src="data:image/png;base64,b2N0ZXRz"' in frame
    assert "cid:" not in frame


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_names_subjects_and_texts_stay_text(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, text: str
) -> None:
    message_id = await deliver(world, alice, hostile_message(text))
    paths = ("/", f"/messages/{message_id}", f"/threads/{message_id}", f"/messages/{message_id}/journey")
    forms = [f"/compose?{kind}={message_id}" for kind in ("reply", "reply-all", "forward")]
    for path in (*paths, *forms, f"/?q={SCRIPT}"):
        page = (await visitor.get(path)).text
        assert f"<script>{SCRIPT}" not in page
        assert "<img src=x" not in page
        assert 'onmouseover="' not in page
        assert "\u202e" not in page
        assert "49 " not in page.split("<h1>")[1].split("</h1>")[0]


async def test_every_answer_has_a_policy(world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId) -> None:
    message_id = await deliver(world, alice, multipart())
    paths = [f"/messages/{message_id}{path}" for path in ROUTES_OF_A_MESSAGE]
    missing = f"/messages/{uuid4()}"
    for path in ("/", "/sign-in", f"/threads/{message_id}", missing, *paths):
        fields = (await visitor.get(path)).headers
        policy = fields["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy or path.endswith("/html")
        assert "unsafe-eval" not in policy
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["cache-control"] == "no-store"
        if "attachments" not in path and not path.endswith("/file"):
            ancestors = "'self'" if path.endswith("/html") else "'none'"
            assert f"frame-ancestors {ancestors}" in policy
            assert fields["x-frame-options"] == ("SAMEORIGIN" if path.endswith("/html") else "DENY")


async def test_no_page_has_a_script_or_a_style_of_its_own(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, multipart())
    for path in ("/", f"/messages/{message_id}", f"/threads/{message_id}", f"/messages/{message_id}/journey"):
        page = (await visitor.get(path)).text
        assert page.count("<script") == page.count("<script src=")
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page


@pytest.mark.parametrize(
    ("name", "words"),
    [("next_attempt", "next attempt"), ("authenticatedAs", "authenticated as"), ("uid", "uid"), ("X" * 500, "x")],
)
def test_a_detail_is_named_in_words(name: str, words: str) -> None:
    assert property_words(name).startswith(words)


async def test_the_first_view_is_small(world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId) -> None:
    for _ in range(50):
        await deliver(world, alice, multipart())
    names = ("page.css", "page.js", "htmx.min.js", "icon.svg")
    files = [len((await visitor.get(f"/static/{name}")).content) for name in names]
    assert sum(files) < 60_000
    assert sum(files) + len((await visitor.get("/", params={"mailbox": "Archive"})).content) < 100_000


@pytest.mark.parametrize(
    ("action", "flags"),
    [
        ("read", (0, Flag.SEEN)),
        ("unread", (Flag.SEEN, 0)),
        ("flag", (0, Flag.FLAGGED)),
        ("unflag", (Flag.FLAGGED, 0)),
    ],
)
async def test_messages_are_marked(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, action: str, flags: tuple[int, int]
) -> None:
    before, after = flags
    ids = [await deliver(world, alice, simple()) for _ in range(2)]
    await world.store.mark_messages(alice, ids, before)
    response = await act(visitor, action, *ids, back="/?mailbox=INBOX")
    assert (response.status_code, response.headers["location"]) == (303, "/?mailbox=INBOX")
    for each in ids:
        assert (await world.store.message(alice, each)).flags == after


async def test_messages_are_moved(world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId) -> None:
    message_id = await deliver(world, alice, simple())
    await act(visitor, "move", message_id, mailbox="Archive")
    assert await places(world, alice, message_id) == ["Archive"]
    assert (await act(visitor, "move", message_id, mailbox="Nowhere")).status_code == 422
    assert await places(world, alice, message_id) == ["Archive"]


async def test_deleting_moves_to_the_trash_and_there_deletes(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await act(visitor, "delete", message_id)
    assert await places(world, alice, message_id) == ["Trash"]
    for address in ("/?mailbox=Trash", f"/messages/{message_id}?mailbox=Trash"):
        assert "Delete permanently" in (await visitor.get(address)).text
    await act(visitor, "delete", message_id, within="Trash")
    assert (await visitor.get(f"/messages/{message_id}")).status_code == 404


async def test_deleting_from_a_search_deletes_nothing_that_is_in_the_trash(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await act(visitor, "delete", message_id)
    found = (await visitor.get("/", params={"q": "in:anywhere"})).text
    assert '<span class="label soft"><bdi>Trash</bdi></span>' in found
    assert (await act(visitor, "delete", message_id)).headers["location"] == "/?done=in_trash"
    assert await places(world, alice, message_id) == ["Trash"]


async def test_an_action_without_a_marked_message_tells_it(visitor: httpx.AsyncClient) -> None:
    response = await act(visitor, "flag")
    assert "no message was marked" in (await visitor.get(response.headers["location"])).text


async def test_an_action_leads_back_to_the_page_of_the_list(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    for _ in range(PAGE_ITEMS + 1):
        await deliver(world, alice, simple())
    (older,) = re.findall(r'href="([^"]*)" rel="next"', (await visitor.get("/")).text)
    assert f'name="back" value="{older}"' in (await visitor.get(unescape(older))).text


async def test_a_message_of_a_search_leads_to_the_same_search(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    page = (await visitor.get(f"/messages/{message_id}", params={"q": "subject:hello"})).text
    assert 'value="subject:hello"' in page


async def test_deleting_what_has_a_copy_in_the_trash_keeps_the_copy(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    inbox = await world.store.snapshot(alice, "INBOX")
    await world.store.copy(alice, inbox.mailbox.id, inbox.entries.uids_of([message_id])[message_id], "Trash")
    await act(visitor, "delete", message_id)
    assert await places(world, alice, message_id) == ["Trash"]


async def test_an_action_leads_back_to_this_page_only(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    assert (await act(visitor, "read", message_id, back="//evil.invalid/")).headers["location"] == "/"


async def test_a_thread_has_its_messages_in_order(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    first = await deliver(world, alice, b"Message-ID: <1@x>\r\nSubject: Trip\r\n\r\nTrain or plane?\r\n")
    second = await deliver(
        world, alice, b"Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Re: Trip\r\n\r\nTrain\r\n"
    )
    page = (await visitor.get(f"/threads/{second}")).text
    assert "2 messages" in page
    assert page.index(f'href="/messages/{first}"') < page.index(f'href="/messages/{second}"')


async def test_a_thread_has_the_text_of_html_and_tells_what_is_cut(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    html = b"Content-Type: text/html\r\n\r\n<p>Train</p><p>or <b>plane</b>?</p>\r\n"
    message_id = await deliver(world, alice, html)
    page = (await visitor.get(f"/threads/{message_id}")).text
    assert "Train\nor plane?" in page
    assert "it is cut" not in page
    long = await deliver(world, alice, b"\r\n" + b"A line.\r\n" * THREAD_TEXT_OCTETS)
    assert "it is cut" in (await visitor.get(f"/threads/{long}")).text


async def test_a_keyword_of_a_mail_program_is_no_label_to_choose(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await world.store.flag_message(alice, message_id, FlagChange(add_keywords=("$Forwarded", "work")))
    for address in ("/settings/labels", "/settings/filters/new"):
        page = (await visitor.get(address)).text
        assert "work" in page
        assert "$Forwarded" not in page


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("(see https://example.com/a_(b))", "https://example.com/a_(b)"),
        ("https://example.com/a_(b).", "https://example.com/a_(b)"),
        ("[https://example.com/a]", "https://example.com/a"),
        ("https://example.com/a).", "https://example.com/a"),
    ],
)
def test_a_bracket_belongs_to_the_address_that_opens_it(text: str, url: str) -> None:
    assert f'href="{url}"' in plain_text(text)


def test_a_text_links_addresses_of_the_web_and_nothing_else() -> None:
    shown = plain_text('See https://example.org/a?b=1&c="2"> and javascript:x, (http://example.net/).')
    assert 'href="https://example.org/a?b=1&amp;c="' in shown
    assert 'href="http://example.net/"' in shown
    assert shown.count("<a ") == 2
    assert plain_text("http://x.invalid/ " * (MAX_LINKS + 1)).count("<a ") == MAX_LINKS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n b\tc", "a b c"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\x00b\u200b\ufeffc", "abc"),
        ("👩\u200d🔧", "👩\u200d🔧"),
        ("\u2066\u2069", "(none)"),
        ("x" * 1_000, "x" * MAX_LINE_CHARACTERS + "…"),
    ],
)
def test_a_line_has_no_invisible_characters(text: str, shown: str) -> None:
    assert one_line(text, "(none)") == shown


@pytest.mark.parametrize(
    ("octets", "shown"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (46_120, "46 kB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes_are_read_at_a_glance(octets: int, shown: str) -> None:
    assert file_size(octets) == shown


def test_times_and_mailboxes_are_shown_without_a_script_too() -> None:
    time = datetime(2026, 11, 30, 9, 30, 2, tzinfo=UTC)
    assert moment(time) == '<time datetime="2026-11-30T09:30:02.000+00:00">2026-11-30 09:30 UTC</time>'
    assert moment(None) == ""
    assert [mailbox_label(name) for name in ("INBOX", "Work/2026")] == ["Inbox", "Work/2026"]


async def test_the_stream_of_changes_ends_after_a_while(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "STREAM_SECONDS", 0.0)
    response = await visitor.get("/events")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(("action", "place"), [("delete", "Trash"), ("move", "Archive")])
async def test_of_a_message_to_oneself_the_copy_in_sent_stays(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, action: str, place: str
) -> None:
    message_id = await deliver(world, alice, simple())
    await copy_to_sent(world, alice, message_id)
    await act(visitor, action, message_id, mailbox="Archive", within="INBOX")
    assert await places(world, alice, message_id) == sorted([place, "Sent"])
    await act(visitor, "delete", message_id, within=place)
    assert "Sent" in await places(world, alice, message_id)


async def test_opening_a_message_to_oneself_lets_the_browser_mark_the_copy_that_is_unread(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver(world, alice, simple())
    await copy_to_sent(world, alice, message_id)
    assert "Mark as read" in (await visitor.get(f"/messages/{message_id}")).text
    await act(visitor, "read", message_id)
    assert "Mark as unread" in (await visitor.get(f"/messages/{message_id}")).text
    assert "1 message, 1 unread" not in " ".join((await visitor.get("/")).text.split())


async def copy_to_sent(world: MemoryBackend, account_id: AccountId, message_id: MessageId) -> None:
    """As sending to oneself does: the copy in Sent is read, that in the INBOX is not."""
    snapshot = await world.store.snapshot(account_id, "INBOX")
    (uid,) = snapshot.entries.uids_of([message_id])[message_id]
    await world.store.copy(account_id, snapshot.mailbox.id, [uid], "Sent")
    sent = await world.store.snapshot(account_id, "Sent")
    (copy,) = sent.entries.uids_of([message_id])[message_id]
    await world.store.set_flags(account_id, sent.mailbox.id, {copy}, FlagChange(add=Flag.SEEN))
