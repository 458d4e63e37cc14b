"""`/admin/events` and `/admin/journeys`: what happened to the messages of all users, without content."""

import re
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from relate_api.page import Page
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api
from tests.unit.api.page.admin.operating import queue_mail


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    return create_api(world, shown=Page(jaeger_url="http://jaeger.example/"))


@pytest.fixture
async def relayed(world: MemoryBackend, alice: AccountId) -> None:
    """A message to Carol, that the next server has accepted."""
    await queue_mail(world, alice, "carol@elsewhere.example")
    (claimed,) = await world.store.queue.claim("relay", 1, 1, {})
    result = AttemptResult(claimed.lease, QueueState.DELIVERED, "250 2.0.0 <taken>", "2.0.0")
    told = Event(
        EventName.RELAYED,
        account_id=alice,
        message_id=claimed.message_id,
        header_message_id=claimed.header_message_id,
        recipient=claimed.address,
        reply=result.reply,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    await world.store.queue.settle([result], events=[told])


@pytest.mark.usefixtures("relayed")
async def test_events_are_filtered(operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId) -> None:
    await world.store.deliver(delivery(bob))
    for query, is_found in (
        ({}, True),
        ({"recipient": "carol@elsewhere.example"}, True),
        ({"message": "<m1@example.org>"}, True),
        ({"event": "queued", "since": "2020-01-01T00:00"}, True),
        ({"event": "expired"}, False),
        ({"since": "2999-01-01T00:00"}, False),
        ({"sender": "bob@example.net"}, False),
    ):
        response = await operator.get("/admin/events", params=query)
        assert response.status_code == 200, query
        assert ("Queued</span>" in response.text) is is_found, query


@pytest.mark.usefixtures("relayed")
async def test_the_time_of_an_event_is_in_the_zone_of_the_filter(operator: httpx.AsyncClient) -> None:
    shown = (await operator.get("/admin/events")).text
    assert "Since (UTC)" in shown
    assert '<th scope="col">Time (UTC)</th>' in shown
    newest = re.search(r'data-label="Time \(UTC\)" class="number">(\S+) (\d\d:\d\d):\d\d<', shown)
    assert newest is not None
    found = await operator.get("/admin/events", params={"since": f"{newest[1]}T{newest[2]}"})
    assert f"{newest[1]} {newest[2]}" in found.text


@pytest.mark.parametrize(
    "query", [{"message": "x"}, {"event": "x"}, {"since": "soon"}, {"recipient": "nobody"}, {"cursor": "x"}]
)
async def test_a_filter_that_is_not_valid_is_kept(operator: httpx.AsyncClient, query: dict[str, str]) -> None:
    response = await operator.get("/admin/events", params=query)
    assert response.status_code == 422
    assert 'class="notice bad"' in response.text
    if "recipient" in query:
        assert 'value="nobody"' in response.text


async def test_events_have_pages(operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId) -> None:
    for _ in range(60):
        received = Event(EventName.RECEIVED, recipient="bob@example.net", header_message_id="m2@example.net")
        await world.store.deliver(replace(delivery(bob), events=(received,)))
    first = await operator.get("/admin/events")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following is not None
    assert (await operator.get(following[1].replace("&amp;", "&"))).text.count("Journey</a>") > 0


@pytest.mark.usefixtures("relayed")
@pytest.mark.parametrize("question", ["m1@example.org", "<m1@example.org>", "carol@elsewhere.example"])
async def test_a_journey_is_found_by_message_id_and_address(operator: httpx.AsyncClient, question: str) -> None:
    shown = (await operator.get("/admin/journeys", params={"q": question})).text
    assert "Accepted by the next server" in shown
    assert "250 2.0.0 &lt;taken&gt;" in shown


@pytest.mark.usefixtures("relayed")
async def test_each_event_leads_to_its_journey(operator: httpx.AsyncClient) -> None:
    events = (await operator.get("/admin/events")).text
    links = re.findall(r'href="(/admin/journeys\?q=[^"]+)"', events)
    assert links
    assert "http://jaeger.example/trace/0af7651916cd43dd8448eb211c80319c" in events
    for link in links:
        assert "Accepted by the next server" in (await operator.get(link)).text


async def test_a_question_without_an_answer_is_explained(operator: httpx.AsyncClient) -> None:
    assert "The log has nothing of this" in (await operator.get("/admin/journeys?q=nobody@example.org")).text
    assert "The log has nothing of this" not in (await operator.get("/admin/journeys")).text
