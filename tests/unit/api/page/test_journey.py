"""The journey of a message on the page."""

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from relate_api.page import Page
from relate_api.page.timeline import WORDS
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.journeys import EndState
from relate_mailstore.types import AccountId
from tests.support.factories import delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api

TRACE = "0af7651916cd43dd8448eb211c80319c"
JAEGER = "https://traces.example.org/ui/"


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    return create_api(world, shown=Page(jaeger_url=JAEGER))


def test_every_event_and_end_has_words() -> None:
    assert WORDS.keys() == {name.value for name in (*EventName, *EndState)}


async def test_steps_are_shown_in_order_with_links_to_their_traces(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    events = (
        Event(EventName.RECEIVED, recipient="alice@example.org", service="smtp", trace_id=TRACE),
        Event(EventName.DELIVERED, account_id=alice, recipient="alice@example.org", detail={"mailbox": "<b>INBOX</b>"}),
    )
    message_id = (await world.store.deliver(replace(delivery(alice, raw=simple()), events=events))).message_id
    page = (await visitor.get(f"/messages/{message_id}/journey")).text
    assert page.index("<strong>Received</strong>") < page.index("<strong>Delivered</strong>")
    assert f'href="https://traces.example.org/ui/trace/{TRACE}"' in page
    assert page.count("/trace/") == 1
    assert "by smtp" in page
    assert "&lt;b&gt;INBOX" in page


async def test_a_journey_without_events_is_explained(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = (await world.store.deliver(delivery(alice, raw=simple()))).message_id
    await world.store.events.trim(1e12)
    assert "The log has nothing of this message" in (await visitor.get(f"/messages/{message_id}/journey")).text
