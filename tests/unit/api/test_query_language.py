"""The query language of searches: its syntax, the place of errors, and what each operator finds."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_api.emails.query_language import MAX_TERMS, OPERATORS, QueryError, parse_query
from relate_mailstore.types import AccountId, Destination, Flag
from tests.support.factories import big, delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import OWN_EMAILS, expect_problem

DAY = 86_400


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        (" \t\n", []),
        ("one  two", [("", "one", False, 0), ("", "two", False, 5)]),
        ('"one two"', [("", "one two", False, 0)]),
        ("FROM:Ann", [("from", "Ann", False, 5)]),
        ('-subject:"a b" c', [("subject", "a b", True, 9), ("", "c", False, 15)]),
        ("-one", [("", "one", True, 1)]),
        ("a - b -", [("", "a", False, 0), ("", "-", False, 2), ("", "b", False, 4), ("", "-", False, 6)]),
        (r'"say \"hi\" \\"', [("", 'say "hi" \\', False, 0)]),
        ('in:"a b/c"', [("in", "a b/c", False, 3)]),
        ("subject:a:b", [("subject", "a:b", False, 8)]),
        ("10:30", [("", "10:30", False, 0)]),
        ("it's 6\"", [("", "it's", False, 0), ("", '6"', False, 5)]),
        ("größe", [("", "größe", False, 0)]),
    ],
)
def test_terms_are_read_with_their_positions(query: str, terms: Sequence[Any]) -> None:
    assert list(parse_query(query)) == terms


@pytest.mark.parametrize(
    ("query", "position", "words"),
    [
        ("one form:ann", 4, "unknown"),
        ("http://example.org", 0, "unknown"),
        ("from:", 5, "no value"),
        ("from: ann", 5, "no value"),
        ('subject:""', 8, "no value"),
        ('" "', 0, "empty"),
        ('a "b', 2, "not closed"),
        (r'"a\"', 0, "not closed"),
        ('"a"b', 0, "no space"),
        ("a " * MAX_TERMS + "b", 2 * MAX_TERMS, "at most"),
    ],
)
def test_an_error_has_its_position(query: str, position: int, words: str) -> None:
    with pytest.raises(QueryError, match=words) as raised:
        parse_query(query)
    assert raised.value.position == position


@given(words=st.lists(st.text(min_size=1).filter(str.strip), max_size=5), negated=st.booleans())
def test_any_text_can_be_quoted(words: list[str], negated: bool) -> None:
    escaped = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    terms = parse_query(" ".join(f'{"-" * negated}"{word}"' for word in escaped))
    assert [(term.value, term.negated) for term in terms] == [(word, negated) for word in words]


@pytest.fixture
async def mail(world: MemoryBackend, alice: AccountId) -> None:
    budget = simple("Budget review", sender="Ann Exact <ann@a.example>", cc="carol@c.example", body="Figures.\r\n")
    placed = [
        (Destination(alice, keywords=("work",)), budget),
        (Destination(alice, flags=Flag.SEEN | Flag.FLAGGED), multipart("Report")),
        (Destination(alice, "Archive"), simple("Old news", sender="dora@example.com", to="ann@a.example")),
        (Destination(alice), big(5_000)),
    ]
    for number, (to, raw) in enumerate(placed):
        await world.store.deliver(delivery(to, raw=raw, internal_date=number * DAY))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("from:ann@a", ["Budget review"]),
        ('from:"ann exact"', ["Budget review"]),
        ("to:ann@a in:archive", ["Old news"]),
        ("cc:CAROL", ["Budget review"]),
        ("subject:news in:anywhere", ["Old news"]),
        ("subject:figures", []),
        ("figures", ["Report", "Budget review"]),
        ("figures -budget", ["Report"]),
        ('"budget review"', ["Budget review"]),
        ('"review budget"', []),
        ("review budget", ["Budget review"]),
        ("has:attachment", ["Report"]),
        ("-has:attachment", ["Big", "Budget review"]),
        ("is:unread", ["Big", "Budget review"]),
        ("-is:unread", ["Report"]),
        ("is:read", ["Report"]),
        ("is:flagged", ["Report"]),
        ("-is:flagged", ["Big", "Budget review"]),
        ("label:WORK", ["Budget review"]),
        ("-label:work", ["Big", "Report"]),
        ("in:Archive", ["Old news"]),
        ("in:inbox is:read", ["Report"]),
        ("-in:inbox", ["Old news"]),
        ("in:Nowhere", []),
        ("in:anywhere", ["Big", "Old news", "Report", "Budget review"]),
        ("after:1970-01-02", ["Big", "Report"]),
        ("before:1970-01-02", ["Budget review"]),
        ("-before:1970-01-02", ["Big", "Report"]),
        ("after:1970-01-02T00:00:01Z", ["Big"]),
        ("larger:4K", ["Big"]),
        ("larger:4999", ["Big"]),
        ("larger:5000", []),
        ("smaller:5000", ["Report", "Budget review"]),
        ("smaller:5001 larger:1kb", ["Big"]),
        ("smaller:1M", ["Big", "Report", "Budget review"]),
    ],
)
@pytest.mark.usefixtures("mail")
async def test_an_operator_finds_its_messages(client: httpx.AsyncClient, query: str, found: list[str]) -> None:
    response = await client.get(f"{OWN_EMAILS}/search", params={"q": query})
    assert [row["subject"] for row in response.json()["items"]] == found
    assert response.json()["totalCount"] == len(found)


@pytest.mark.usefixtures("mail")
async def test_a_named_mailbox_restricts_a_query_that_names_mailboxes(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{OWN_EMAILS}/search", params={"q": "in:anywhere", "mailbox": "Archive"})
    assert [row["subject"] for row in response.json()["items"]] == ["Old news"]


async def test_a_mailbox_is_named_in_any_case_or_by_its_use(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await world.store.provision(alice)
    await world.store.rename_mailbox(alice, "Sent", "Gesendete Objekte")
    await world.store.deliver(delivery(Destination(alice, "Gesendete Objekte"), raw=simple("out")))
    for name in ("sent", '"gesendete objekte"', '"Gesendete Objekte"'):
        response = await client.get(f"{OWN_EMAILS}/search", params={"q": f"in:{name}"})
        assert [row["subject"] for row in response.json()["items"]] == ["out"]


async def test_a_mailbox_is_named_in_any_normal_form(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await world.store.create_mailbox(alice, "Pl\u00e4ne")
    await world.store.deliver(delivery(Destination(alice, "Pl\u00e4ne"), raw=simple("plan")))
    for name in ("Pla\u0308ne", "PLA\u0308NE", "pl\u00e4ne"):
        response = await client.get(f"{OWN_EMAILS}/search", params={"q": f"in:{name}"})
        assert [row["subject"] for row in response.json()["items"]] == ["plan"]


async def test_a_label_is_named_by_its_name_in_any_case_or_by_its_keyword(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    for name, keyword in (("To do", "To_do"), ("W\u00f6rk", "Work")):
        created = (await client.post("/api/labels", json={"name": name, "color": "#000000"})).json()
        assert created["keyword"] == keyword
        await world.store.deliver(delivery(Destination(alice, keywords=(keyword,)), raw=simple(name)))
    for query, name in (
        ('label:"To do"', "To do"),
        ('label:"TO DO"', "To do"),
        ("label:to_do", "To do"),
        ("label:w\u00d6rk", "W\u00f6rk"),
        ("label:work", "W\u00f6rk"),
        ('-label:"to do"', "W\u00f6rk"),
    ):
        response = await client.get(f"{OWN_EMAILS}/search", params={"q": query})
        assert [row["subject"] for row in response.json()["items"]] == [name]


async def test_a_keyword_is_found_before_the_name_of_another_label(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    work = (await client.post("/api/labels", json={"name": "work", "color": "#000000"})).json()
    await client.put(f"/api/labels/{work['id']}", json={"name": "old", "color": "#000000"})
    again = (await client.post("/api/labels", json={"name": "work", "color": "#000000"})).json()
    for label in (work, again):
        await world.store.deliver(delivery(Destination(alice, keywords=(label["keyword"],)), raw=simple(label["id"])))
    response = await client.get(f"{OWN_EMAILS}/search", params={"q": "label:work"})
    assert [row["subject"] for row in response.json()["items"]] == [work["id"]]


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("form:x", 0),
        ("a is:open", 5),
        ("has:text", 4),
        ('label:"two words"', 6),
        ("a -in:anywhere", 6),
        ("before:yesterday", 7),
        ("after:2026-13-01", 6),
        ("larger:big", 7),
        ("smaller:-1", 8),
        ("larger:9999999999999", 7),
    ],
)
async def test_a_problem_names_the_position(client: httpx.AsyncClient, query: str, position: int) -> None:
    (error,) = expect_problem(await client.get(f"{OWN_EMAILS}/search", params={"q": query}), 422)["errors"]
    assert error["loc"] == ["query", "q", position]
    assert error["msg"].endswith(f"at character {position + 1}")


async def test_a_problem_quotes_nothing_of_the_query(client: httpx.AsyncClient) -> None:
    for operator in sorted(OPERATORS | {"secret"}):
        for query in (f"{operator}:s3cr3t,word", f'{operator}:"s3cr3t'):
            response = await client.get(f"{OWN_EMAILS}/search", params={"q": query})
            assert "s3cr3t" not in response.text
