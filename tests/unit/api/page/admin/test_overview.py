"""`/admin`: what an operator wants to know first."""

import asyncio

import httpx
import pytest

from relate_accounts.types import UserId
from relate_api.page.views.admin import overview
from relate_mailstore.queue_types import QueueFilter, QueueStatistics
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.admin.operating import queue_mail


async def test_nothing_needs_an_operator(operator: httpx.AsyncClient) -> None:
    shown = (await operator.get("/admin")).text
    assert "Nothing here needs you now." in shown
    assert "the queue is empty" in shown


async def test_it_counts_what_waits_and_what_is_held(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@a.example", "dan@a.example", "erin@b.example")
    await world.store.queue.hold(QueueFilter(domain="b.example"))
    shown = (await operator.get("/admin")).text
    assert '<strong class="number">2</strong>' in shown
    assert '<strong class="number">1</strong>' in shown
    assert "the oldest since <time" in shown
    assert '<a href="/admin/queue?state=queued"><span class="soft">Recipients that wait</span>' in shown
    assert "Nothing here needs you now." not in shown


async def test_users_near_their_quota_are_shown(
    operator: httpx.AsyncClient, world: MemoryBackend, bob: AccountId, alice: AccountId
) -> None:
    await world.store.deliver(delivery(bob))
    used = await world.store.usage(bob)
    await world.accounts.set_quota(UserId(bob), used)
    await world.accounts.set_quota(UserId(alice), used)
    shown = (await operator.get("/admin")).text
    assert 'bob@example.net</bdi></a> <span class="number">100 %</span>' in shown
    assert "alice@example.org</bdi></a>" not in shown


async def test_a_queue_that_is_long_to_count_holds_no_request(
    operator: httpx.AsyncClient, world: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count() -> QueueStatistics:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    monkeypatch.setattr(world.store.queue, "statistics", count)
    monkeypatch.setattr(overview, "COUNT_SECONDS", 0.0)
    assert "too many to count quickly" in (await operator.get("/admin")).text


@pytest.mark.parametrize("path", ["", "/users", "/domains", "/queue", "/suppressions", "/events", "/journeys"])
async def test_a_session_without_the_scope_is_refused(visitor: httpx.AsyncClient, path: str) -> None:
    response = await visitor.get(f"/admin{path}")
    assert response.status_code == 403
    assert "lacks the scope admin" in response.text
