"""Searching text: exact substrings of the decoded, displayed text, ignoring case."""

import asyncio
import base64

import pytest

from relate_mailstore.folding import fold
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.read import search
from relate_mailstore.types import AccountId, Destination, MessageQuery, NewMessage, TextPart
from tests.contract.stores import opened
from tests.support.factories import delivery, multipart, simple, uids

BODY, ANYWHERE = TextPart.BODY, TextPart.ANYWHERE
WORDS = [
    "Lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
]


@pytest.fixture(autouse=True, params=["by the index", "one by one"])
def _search_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are searched one by one, many by an index; both find the same."""
    if request.param == "by the index":
        monkeypatch.setattr(search, "SCAN_MESSAGES", 0)
        monkeypatch.setattr(search, "MAX_CANDIDATES_RATIO", 100)


async def found(
    store: MailStore, account: AccountId, text: str, part: TextPart = BODY, name: str = "INBOX"
) -> list[int]:
    return sorted(await store.containing(await store.snapshot(account, name), text, part))


def encoded(body: str, *, charset: str = "utf-8", kind: str = "plain", disposition: str = "inline") -> bytes:
    head = (
        f"Subject: encoded\r\nContent-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {disposition}\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(body.encode(charset))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fountain pen", [1]),
        ("FOUNTAIN", [1]),
        ("ountai", [1]),
        ("xountai", []),
        ("pen bring", []),
        ("pen. it writes", [1]),  # across a line end
        ("pen.  it", [1]),  # any white space is one space
        ("übergrößen", [2]),
        ("ÜBERGRÖSSEN", [2]),
        ("日本語", [3]),
        ("本", [3]),
        ("語テ", [3]),
        ("100%", [4]),
        ("100% w", [4]),
        ("a_b", [4]),
        ("a%b", []),
        ("\\", [4]),
        ('"quoted"', [4]),
        ("it's", [4]),
        ("*", [4]),
        ("%", [4]),
        ("e", [1, 2, 4]),
        ("!!!", [4]),
        (" -- ", [4]),
        ("", [1, 2, 3, 4]),
    ],
)
async def test_a_substring_of_the_body_is_found(
    store: MailStore, alice: AccountId, text: str, expected: list[int]
) -> None:
    for body in (
        "Please bring a fountain pen.\r\nIt writes.",
        "Jacken in Übergrößen",
        "日本語テスト",
        '100% wool a_b back\\slash "quoted" it\'s a*b !!! x -- y',
    ):
        await store.deliver(delivery(alice, raw=encoded(body)))
    assert await found(store, alice, text) == expected
    assert set(expected) <= set(await found(store, alice, text, ANYWHERE))


@pytest.mark.parametrize(
    ("text", "body", "anywhere"),
    [
        ("figures", [1], [1]),
        ("grüße from ann", [1], [1]),
        ("<b>", [], []),  # HTML is searched as it is displayed
        ("the figures.", [1], [1]),
        ("%PDF", [], []),  # attachments are not searched
        ("subject: quarter", [], [1]),
        ("jörg", [], [1]),
        ("=?utf-8", [], []),
        ("multipart@example.org", [], [1]),
        ("ann@example.orgto", [], []),
        ("ann@example.org> to:", [], []),  # no match spans two fields
        ("olg the", [], []),  # or header and body
    ],
)
async def test_header_fields_are_searched_with_text_but_not_with_body(
    store: MailStore, alice: AccountId, text: str, body: list[int], anywhere: list[int]
) -> None:
    await store.deliver(delivery(alice, raw=multipart("=?utf-8?q?Quarter_Erf?= =?utf-8?q?olg?=")))
    assert await found(store, alice, text, BODY) == body
    assert await found(store, alice, text, ANYWHERE) == anywhere


@pytest.mark.parametrize(
    ("raw", "text", "expected"),
    [
        (encoded("caf\xe9 au lait", charset="iso-8859-1"), "café", [1]),
        (encoded("<p>Half a<b>word</b></p><p>next</p>", kind="html"), "aword next", [1]),
        (encoded("<style>p {color: red}</style>&lt;kept&gt; &uuml;", kind="html"), "<kept> ü", [1]),
        (encoded("<style>p {color: red}</style>", kind="html"), "color", []),
        (encoded("attached notes", disposition="attachment"), "attached", []),
        (b"Subject: folded\r\n header\r\n\r\nbody", "folded header", [1]),
        (b"no header at all", "header at", [1]),
        (b"", "x", []),
        (b"Subject: bad\xff\x00 octets\r\n\r\n\x00\xff\xfebody", "body", [1]),
    ],
)
async def test_the_displayed_text_is_searched(
    store: MailStore, alice: AccountId, raw: bytes, text: str, expected: list[int]
) -> None:
    await store.deliver(delivery(alice, raw=raw))
    assert await found(store, alice, text, ANYWHERE) == expected


async def test_a_message_that_is_an_attachment_is_searched(store: MailStore, alice: AccountId) -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nforwarded words"
    await store.deliver(delivery(alice, raw=raw))
    assert await found(store, alice, "forwarded words") == [1]


async def test_only_the_mailbox_and_the_account_are_searched(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    raw = encoded("a needle in the hay")
    await store.deliver(delivery(alice, Destination(bob, "Sent"), raw=raw))
    await store.deliver(delivery(Destination(alice, "Sent"), raw=raw))
    await store.provision(bob)
    assert await found(store, alice, "needle") == [1]
    assert await found(store, alice, "needle", name="Sent") == [1]
    assert await found(store, bob, "needle") == []
    assert await found(store, bob, "needle", name="Sent") == [1]


async def test_a_search_follows_deliveries_and_expunges(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    assert await found(store, alice, "needle") == []
    await store.append(alice, "INBOX", [NewMessage(encoded("needle one")), NewMessage(encoded("hay"))])
    assert await found(store, alice, "needle") == [1]
    inbox = await store.mailbox(alice)
    await store.copy(alice, inbox.id, uids(1), "INBOX")
    assert await found(store, alice, "needle") == [1, 3]
    await store.expunge(alice, inbox.id, uids(1))
    assert await found(store, alice, "needle") == [3]
    await store.move(alice, inbox.id, uids(3), "Trash")
    assert await found(store, alice, "needle") == []
    assert await found(store, alice, "needle", name="Trash") == [1]
    await store.expunge(alice, (await store.mailbox(alice, "Trash")).id, uids(1))
    assert await found(store, alice, "needle", name="Trash") == []


async def test_a_search_in_an_old_snapshot_covers_its_entries(store: MailStore, alice: AccountId) -> None:
    for number in range(3):
        await store.deliver(delivery(alice, raw=encoded(f"needle {number}")))
    old = await store.snapshot(alice)
    await store.expunge(alice, old.mailbox.id, uids(2))
    await store.deliver(delivery(alice, raw=encoded("needle 3")))
    assert sorted(await store.containing(old, "needle", BODY)) == [1, 3]


async def test_a_search_in_an_old_snapshot_leaves_newer_results_cached(store: MailStore, alice: AccountId) -> None:
    for number in range(3):
        await store.deliver(delivery(alice, raw=encoded(f"needle {number}")))
    old = await store.snapshot(alice)
    await store.deliver(delivery(alice, raw=encoded("needle 3")))
    await store.deliver(delivery(alice, raw=encoded("hay")))
    assert await found(store, alice, "needle") == [1, 2, 3, 4]
    assert sorted(await store.containing(old, "needle", BODY)) == [1, 2, 3]
    assert await found(store, alice, "needle") == [1, 2, 3, 4]
    await store.expunge(alice, old.mailbox.id, uids(1))
    await store.deliver(delivery(alice, raw=encoded("needle 5")))
    assert await found(store, alice, "needle") == [2, 3, 4, 6]
    assert set(await store.containing(old, "needle", BODY)) in ({2, 3}, {1, 2, 3})
    assert await found(store, alice, "needle") == [2, 3, 4, 6]
    assert await found(store, alice, "needle", TextPart.ANYWHERE) == [2, 3, 4, 6]
    assert await found(store, alice, "hay") == [5]


async def test_a_long_text_is_found_in_the_middle(store: MailStore, alice: AccountId) -> None:
    body = "\r\n".join(" ".join(WORDS) for _ in range(5_000))
    half = len(body) // 2
    await store.deliver(delivery(alice, raw=simple(body=body[:half] + " Needle in the hay " + body[half:])))
    long = " ".join(WORDS * 30)  # longer than the pattern of LIKE
    assert await found(store, alice, "needle in the hay") == [1]
    assert await found(store, alice, long) == [1]
    assert await found(store, alice, long + " x") == []


async def test_text_beyond_the_limit_is_not_searched(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice, raw=simple(body="near " + "x" * 1_100_000 + " far")))
    assert await found(store, alice, "near") == [1]
    assert await found(store, alice, "far") == []


async def test_concurrent_searches_find_the_same(store: MailStore, alice: AccountId) -> None:
    for number in range(30):
        await store.deliver(delivery(alice, raw=encoded(f"text number{number} end")))
    answers = await asyncio.gather(*(found(store, alice, f"number{number} end") for number in range(30)))
    assert answers == [[number] for number in range(1, 31)]


async def test_two_processes_make_each_search_text_once(database: str, alice: AccountId) -> None:
    async with opened(database) as here, opened(database) as there:
        for number in range(60):
            await here.deliver(delivery(alice, raw=encoded(f"text number{number} end")))
        answers = await asyncio.gather(*(found(store, alice, "number") for store in (here, there, here, there)))
        assert answers == [list(range(1, 61))] * 4


FORWARDED = b"""Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r
Content-Description: plum pudding\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: kumquat\r
From: Zanzibar <z@x>\r\n\r\nattachedword\r\n--b\r\nContent-Type: application/pdf\r
Content-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht.pdf\r\n\r\nhiddenword\r\n--b\r
Content-Type: text/plain; name=n.txt\r\nContent-Disposition: attachment\r\n\r\nhiddenword\r\n--b--\r\n"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plum pudding", [1]),  # in a MIME header
        ("kumquat", [1]),  # in the header of an embedded message
        ("from: ZANZIBAR", [1]),
        ("attachedword", [1]),
        ("übersicht.pdf", [1]),  # the name of an attachment,
        ("U\u0308bersicht", [1]),
        ("n.txt", [1]),
        ("hiddenword", []),  # not its content
        ("outer", []),  # nor the header of the message itself
        ("below content", []),  # no match spans two parts
    ],
)
async def test_headers_of_parts_and_names_of_attachments_are_searched_as_body(
    store: MailStore, alice: AccountId, text: str, expected: list[int]
) -> None:
    await store.deliver(delivery(alice, raw=FORWARDED))
    assert await found(store, alice, text) == expected
    assert await found(store, alice, "outer", ANYWHERE) == [1]


@pytest.mark.parametrize(
    ("written", "searched"),
    [
        ("Jürgen", "ju\u0308rgen"),
        ("Ju\u0308rgen", "JÜRGEN"),
        ("ａｂｃ", "abc"),
        ("abc", "ＡＢＣ"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("IŞIK", "ışık"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("oﬃce", "office"),
        ("Donau\u00addampfer", "donaudampfer"),
    ],
)
async def test_normal_form_width_and_case_are_ignored(
    store: MailStore, alice: AccountId, written: str, searched: str
) -> None:
    await store.deliver(delivery(alice, raw=simple(written, body=f"x{written}y")))
    assert await found(store, alice, searched) == [1]
    (summary,) = await store.summaries(await store.snapshot(alice))
    assert summary.subject == fold(searched)
    assert len((await store.find(alice, MessageQuery(text=searched))).items) == 1


@pytest.mark.parametrize("reference", ["&#" + "1" * 5_000 + ";", "&#x" + "f" * 5_000 + ";", "&#" + "0" * 9_000])
async def test_a_character_reference_with_too_many_digits_is_ignored(
    store: MailStore, alice: AccountId, reference: str
) -> None:
    await store.deliver(delivery(alice, raw=encoded(f"<p>needle {reference} pin</p>", kind="html")))
    await store.deliver(delivery(alice, raw=encoded("needle")))
    assert await found(store, alice, "needle") == [1, 2]
    assert await found(store, alice, "pin") == [1]
