"""`/api/external/emails`: list, search, get, patch and delete."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from relate_mailstore.keywords import MAX_MESSAGE_KEYWORDS
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS
from relate_mailstore.types import AccountId, Destination, Flag, MessageId
from tests.support.factories import UNKNOWN_MESSAGE, delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, expect_problem

SUMMARY_PROPERTIES = {
    "id", "messageId", "from", "to", "cc", "subject", "preview", "receivedAt", "date", "sizeBytes",
    "isRead", "isFlagged", "labels", "mailboxes", "attachmentCount", "threadId",
}  # fmt: skip


async def deliver(
    world: MemoryBackend, *to: AccountId | Destination, raw: bytes | None = None, at: int = 1_784_000_000
) -> str:
    return str((await world.store.deliver(delivery(*to, raw=raw, internal_date=at))).message_id)


async def subjects(client: httpx.AsyncClient, path: str = "", **query: Any) -> list[str]:
    response = await client.get(EMAILS + path, params=query)
    assert response.status_code == 200, response.text
    return [row["subject"] for row in response.json()["items"]]


async def test_a_listed_message_has_all_summary_properties(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    to = Destination(alice, flags=Flag.SEEN | Flag.FLAGGED, keywords=("work",))
    email = await deliver(world, to, raw=multipart())
    listed = (await client.get(EMAILS)).json()
    (row,) = listed["items"]
    assert row.keys() == SUMMARY_PROPERTIES
    assert row["id"] == email
    assert row["messageId"] == "multipart@example.org"
    assert row["from"] == {"name": "Ann Example", "address": "ann@example.org"}
    assert row["to"][1] == {"name": "", "address": "carol@example.com"}
    assert row["cc"] == [{"name": "Jörg", "address": "joerg@example.net"}]
    assert (row["subject"], row["preview"]) == ("Report", "The figures, grüße from Ann.")
    assert (row["receivedAt"], row["date"]) == ("2026-07-14T03:33:20Z", "2026-07-14T07:30:00Z")
    assert row["sizeBytes"] == len(multipart())
    assert (row["isRead"], row["isFlagged"], row["labels"]) == (True, True, ["work"])
    assert (row["mailboxes"], row["attachmentCount"]) == (["INBOX"], 1)
    assert listed["nextCursor"] is None


async def test_a_message_has_its_text_and_its_attachments(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, alice, raw=multipart())
    shown = (await client.get(f"{EMAILS}/{email}")).json()
    assert shown.keys() == SUMMARY_PROPERTIES | {"textBody", "htmlBody", "isTruncated", "recipients", "attachments"}
    assert shown["textBody"] == "The figures, grüße from Ann."
    assert shown["htmlBody"] == "<p>The <b>figures</b>.</p>"
    assert shown["isTruncated"] is False
    assert shown["attachments"] == [
        {"id": "2", "section": "2", "fileName": "report.pdf", "contentType": "application/pdf", "sizeBytes": 28}
    ]
    assert shown["recipients"] == [
        {"address": "bob@example.net", "displayName": "Bob Example", "type": "To"},
        {"address": "carol@example.com", "displayName": "", "type": "To"},
        {"address": "joerg@example.net", "displayName": "Jörg", "type": "Cc"},
    ]


async def test_getting_a_message_does_not_mark_it_read(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, alice)
    for path in ("", "/raw", ""):
        await client.get(f"{EMAILS}/{email}{path}")
    assert (await client.get(f"{EMAILS}/{email}")).json()["isRead"] is False


async def test_bcc_is_not_shown(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    email = await deliver(world, alice, raw=simple(headers=("Bcc: Hidden <hidden@example.com>",)))
    for path in ("", f"/{email}", "/search?q=example"):
        response = await client.get(EMAILS + path)
        assert email in response.text
        assert "idden" not in response.text


@pytest.mark.parametrize("date", ["Tue, 14 Jul 99999 09:30:00 +0200", "yesterday"])
async def test_an_unrepresentable_date_is_null(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, date: str
) -> None:
    await deliver(world, alice, raw=f"Date: {date}\r\n\r\n".encode())
    assert (await client.get(EMAILS)).json()["items"][0]["date"] is None


async def test_bcc_is_shown_to_the_sender(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    raw = simple(headers=("Bcc: Hidden <hidden@example.com>",))
    for mailbox in ("Sent", "Drafts"):
        email = await deliver(world, Destination(alice, mailbox), raw=raw)
        recipients = (await client.get(f"{EMAILS}/{email}")).json()["recipients"]
        assert recipients[-1] == {"address": "hidden@example.com", "displayName": "Hidden", "type": "Bcc"}


async def test_pages_have_numbers_and_counts(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    for number in range(5):
        await deliver(world, Destination(alice, flags=Flag.SEEN if number else 0), raw=simple(str(number)), at=number)
    found = []
    for number in (1, 2, 3, 4):
        page = (await client.get(EMAILS, params={"page": number, "pageSize": 2})).json()
        found.append([row["subject"] for row in page["items"]])
        assert (page["totalCount"], page["unreadCount"], page["page"], page["pageSize"]) == (5, 1, number, 2)
    assert found == [["4", "3"], ["2", "1"], ["0"], []]
    first = (await client.get(EMAILS, params={"pageSize": 2})).json()
    second = (await client.get(EMAILS, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [row["subject"] for row in second["items"]] == ["2", "1"]
    assert (second["totalCount"], second["page"], second["pageSize"]) == (5, None, 2)
    read = (await client.get(f"{EMAILS}/search", params={"q": "is:read", "pageSize": 1})).json()
    assert (read["totalCount"], read["unreadCount"]) == (4, 1)


@pytest.mark.parametrize("query", ["page=2&cursor=1.2", "limit=2&pageSize=2"])
async def test_contradictory_pages_are_refused(client: httpx.AsyncClient, query: str) -> None:
    (error,) = expect_problem(await client.get(f"{EMAILS}?{query}"), 422)["errors"]
    assert "not both" in error["msg"]


async def test_cursors_lead_through_all_pages(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    for number in range(5):
        await deliver(world, alice, raw=simple(str(number)), at=number)
    pages, query = [], {"limit": "2"}
    while query.get("cursor", "") is not None:
        page = (await client.get(EMAILS, params=query)).json()
        pages.append([row["subject"] for row in page["items"]])
        query["cursor"] = page["nextCursor"]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


async def test_each_filter_narrows_the_list(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    await deliver(world, Destination(alice, flags=Flag.SEEN), raw=simple("read"), at=100)
    await deliver(world, Destination(alice, keywords=("work",)), raw=simple("work"), at=200)
    await deliver(world, Destination(alice, "Archive"), raw=multipart("archived"), at=300)
    assert await subjects(client) == ["work", "read"]
    assert await subjects(client, mailbox="inbox") == ["work", "read"]
    assert await subjects(client, mailbox="Archive") == ["archived"]
    assert await subjects(client, mailbox="Nowhere") == []
    assert await subjects(client, mailbox="") == ["archived", "work", "read"]
    assert await subjects(client, isRead=True) == ["read"]
    assert await subjects(client, isRead=False) == ["work"]
    assert await subjects(client, mailbox="", hasAttachments=True) == ["archived"]
    assert await subjects(client, hasAttachments=False, label="work") == ["work"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"since": "1970-01-01T00:03:20Z"}, ["200", "201"]),
        ({"since": "1970-01-01T01:03:20.5+01:00"}, ["201"]),
        ({"before": "1970-01-01T00:03:20Z"}, []),
        ({"before": "1970-01-01T00:03:20.5Z"}, ["200"]),
        ({"since": "0001-01-01T00:00:00Z", "before": "9999-12-31T23:59:59Z"}, ["200", "201"]),
        ({"toDate": "1970-01-01T00:03:20Z"}, ["200"]),
        ({"toDate": "1970-01-01T00:03:20.5Z"}, ["200"]),
        ({"fromDate": "1970-01-01T00:03:20.5Z"}, ["201"]),
        ({"fromDate": "1970-01-01", "toDate": "1970-01-01"}, ["200", "201"]),
        ({"since": "1970-01-01", "before": "1970-01-02"}, ["200", "201"]),
        ({"before": "1970-01-01"}, []),
        ({"since": "1970-01-02"}, []),
        ({"toDate": "1969-12-31"}, []),
        ({"since": "0001-01-01", "toDate": "9999-12-31"}, ["200", "201"]),
        ({"since": "1970-01-01", "fromDate": "1970-01-01T00:03:21Z"}, ["201"]),
        ({"before": "1970-01-01T00:03:21Z", "toDate": "1970-01-01"}, ["200"]),
    ],
)
async def test_bounds_are_exact_for_fractional_times_and_whole_days(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, query: dict[str, str], found: list[str]
) -> None:
    for second in (200, 201):
        await deliver(world, alice, raw=simple(str(second)), at=second)
    assert sorted(await subjects(client, **query)) == found


async def test_a_search_covers_sender_recipients_subject_and_preview(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await deliver(
        world, alice, raw=simple("Größe", sender="Zoë <zoe@example.org>", cc="cc@example.org", body="Preview")
    )
    for text in ("zoë", "ZOE@", "bob@example.net", "cc@", "GRÖSSE", "größe", "preview"):
        assert await subjects(client, "/search", q=text) == ["Größe"]
    for text in ("%", "_", "\\", "*", "text/plain"):
        assert await subjects(client, "/search", q=text) == []


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("isRead=maybe", "isRead"),
        ("since=1784000000", "since"),
        ("before=2026-07-32", "before"),
        ("toDate=20260714", "toDate"),
        ("fromDate=yesterday", "fromDate"),
        ("page=0", "page"),
        ("page=10001", "page"),
        ("pageSize=0", "pageSize"),
        ("pageSize=101", "pageSize"),
        ("before=2026-07-14T00:00:00", "before"),
        ("label=two words", "label"),
        ("label=", "label"),
        (f"mailbox={'x' * 1001}", "mailbox"),
        (f"label={'x' * 256}", "label"),
        ("label=(a", "label"),
        (f"cursor={'x' * 201}", "cursor"),
    ],
)
async def test_an_invalid_filter_is_named(client: httpx.AsyncClient, query: str, location: str) -> None:
    (error,) = expect_problem(await client.get(f"{EMAILS}?{query}"), 422)["errors"]
    assert error["loc"] == ["query", location]


@pytest.mark.parametrize("name", ["isread", "is_read", "q", "size"])
async def test_an_unknown_filter_is_rejected(client: httpx.AsyncClient, name: str) -> None:
    (error,) = expect_problem(await client.get(EMAILS, params={name: "true"}), 422)["errors"]
    assert error["loc"] == ["query", name]


@pytest.mark.parametrize("path", ["/search", "/search?q=", f"/search?q={'x' * 1001}"])
async def test_a_search_requires_a_text(client: httpx.AsyncClient, path: str) -> None:
    assert expect_problem(await client.get(EMAILS + path), 422)["errors"][0]["loc"] == ["query", "q"]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2", f"{'9' * 19}.{UNKNOWN_MESSAGE}", f"1.{UNKNOWN_MESSAGE}\0"])
async def test_an_invalid_cursor_is_rejected(client: httpx.AsyncClient, cursor: str) -> None:
    assert "cursor" in expect_problem(await client.get(EMAILS, params={"cursor": cursor}), 422)["detail"]


async def test_a_patch_changes_what_it_names_and_nothing_else(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(alice, flags=Flag.ANSWERED, keywords=("old", "kept")))

    async def patched(**changes: Any) -> tuple[bool, bool, list[str]]:
        response = await client.patch(f"{EMAILS}/{email}", json=changes)
        assert response.status_code == 200, response.text
        row = response.json()
        assert row.keys() == SUMMARY_PROPERTIES
        return row["isRead"], row["isFlagged"], row["labels"]

    assert await patched() == (False, False, ["kept", "old"])
    assert await patched(isRead=True) == (True, False, ["kept", "old"])
    assert await patched(isFlagged=True, isRead=None) == (True, True, ["kept", "old"])
    assert await patched(addLabels=["new", "new"], removeLabels=["old", "none"]) == (True, True, ["kept", "new"])
    assert await patched(isRead=False, isFlagged=False) == (False, False, ["kept", "new"])
    (entry,) = (await world.store.snapshot(alice)).entries
    assert (entry.flags, entry.keywords) == (Flag.ANSWERED, ("kept", "new"))


async def test_labels_are_case_insensitive_and_keep_their_first_spelling(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    one, other = [await deliver(world, Destination(alice)) for _ in range(2)]

    async def labels(email: object, **changes: Any) -> list[str]:
        labelled: list[str] = (await client.patch(f"{EMAILS}/{email}", json=changes)).json()["labels"]
        return labelled

    assert await labels(one, addLabels=["Work"]) == ["Work"]
    assert await labels(one, addLabels=["work"]) == ["Work"]
    assert await labels(other, addLabels=["WORK"]) == ["Work"]
    found = (await client.get(EMAILS, params={"label": "wORK"})).json()["items"]
    assert len(found) == 2
    assert await labels(one, removeLabels=["work"]) == []


@pytest.mark.parametrize("keyword", ["#tag", "foo!bar", "it's", "<x>", "a,b", "x" * 255])
async def test_a_label_that_a_mail_client_has_set_is_found_and_removed(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, keyword: str
) -> None:
    email = await deliver(world, Destination(alice, keywords=(keyword,)))
    for path, query in ((EMAILS, {"label": keyword}), (f"{EMAILS}/search", {"q": f"label:{keyword}"})):
        assert [row["id"] for row in (await client.get(path, params=query)).json()["items"]] == [str(email)]
    patched = await client.patch(f"{EMAILS}/{email}", json={"removeLabels": [keyword]})
    assert patched.json()["labels"] == []


async def test_a_mailbox_of_the_longest_name_is_listed_and_exported(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    name = "x" * MAX_NAME_OCTETS
    await world.store.create_mailbox(alice, name)
    await deliver(world, Destination(alice, name), raw=simple("long"))
    assert await subjects(client, mailbox=name) == ["long"]
    assert "Subject: long" in (await client.get(f"{EMAILS}/export/mbox", params={"mailbox": name})).text


async def test_a_message_with_too_many_labels_is_a_conflict(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    keywords = tuple(f"k{number}" for number in range(MAX_MESSAGE_KEYWORDS))
    email = await deliver(world, Destination(alice, keywords=keywords))
    expect_problem(await client.patch(f"{EMAILS}/{email}", json={"addLabels": ["another"]}), 409)


@pytest.mark.parametrize(
    "change",
    [
        {"isRead": "yes"},
        {"isRead": 1},
        {"isFlagged": "false"},
        {"addLabels": ["two words"]},
        {"addLabels": [""]},
        {"addLabels": ["\\Seen"]},
        {"addLabels": ["x" * 65]},
        {"addLabels": ["#tag"]},
        {"removeLabels": ["x" * 256]},
        {"removeLabels": ["two words"]},
        {"removeLabels": ["x\n"]},
        {"addLabels": ["x"] * 33},
        {"addLabels": "x"},
        {"is_read": True},
        {"subject": "another"},
    ],
)
async def test_an_invalid_patch_changes_nothing(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    email = await deliver(world, alice)
    expect_problem(await client.patch(f"{EMAILS}/{email}", json={"isFlagged": True, **change}), 422)
    assert (await world.store.message(alice, MessageId(UUID(email)))).flags == 0


async def test_a_deleted_message_disappears_for_its_owner_only(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, alice, Destination(alice, "Archive"), bob)
    response = await client.delete(f"{EMAILS}/{email}")
    assert (response.status_code, response.content) == (204, b"")
    assert await subjects(client, mailbox="") == []
    assert len((await world.store.snapshot(bob)).entries) == 1
    expect_problem(await client.delete(f"{EMAILS}/{email}"), 404)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_another_users_message_is_not_found(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, method: str
) -> None:
    theirs = await deliver(world, bob)
    responses = [
        await client.request(method, f"{EMAILS}/{email}", json={"isRead": True}) for email in (theirs, UNKNOWN_MESSAGE)
    ]
    expect_problem(responses[0], 404)
    assert responses[0].content == responses[1].content
    assert responses[0].headers == responses[1].headers
    assert (await world.store.snapshot(bob)).entries[0].flags == 0


@pytest.mark.parametrize(
    "email", ["x", "1", f"{UNKNOWN_MESSAGE}0", f"{{{UNKNOWN_MESSAGE}}}", "../../healthz/live", "%00"]
)
async def test_an_invalid_message_id_is_not_found(client: httpx.AsyncClient, email: str) -> None:
    expect_problem(await client.get(f"{EMAILS}/{email}"), 404)
