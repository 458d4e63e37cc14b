"""`/admin/queue` and `/admin/suppressions`: what waits, and what is done with it."""

import re
import time

import httpx
import pytest

from relate_mailstore.queue_types import AttemptResult, QueueFilter, QueueState
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.admin.operating import queue_mail, send

HOSTILE = "<script>alert(1)</script>\u202e@elsewhere.example"


async def states(world: MemoryBackend) -> dict[str, QueueState]:
    return {row.address: row.state for row in (await world.store.queue.find(QueueFilter(), 100)).items}


async def ids(world: MemoryBackend) -> list[str]:
    return [str(row.recipient_id) for row in (await world.store.queue.find(QueueFilter(), 100)).items]


async def test_a_recipient_is_shown_with_its_last_reply(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@elsewhere.example", HOSTILE)
    carol, _ = await world.store.queue.claim("relay", 2, 2, {})
    later = time.time() + 600
    await world.store.queue.settle(
        [AttemptResult(carol.lease, QueueState.QUEUED, "451 4.7.1 <later>", "4.7.1", "t", later)]
    )
    shown = (await operator.get("/admin/queue")).text
    assert "451 4.7.1 &lt;later&gt;" in shown
    assert "carol@elsewhere.example" in shown
    assert "<script>alert" not in shown
    assert "\u202e" not in shown
    assert "/admin/journeys?q=" in shown


async def test_the_queue_is_filtered(operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId) -> None:
    await queue_mail(world, alice, "carol@a.example", "dan@b.example")
    for query, found in (
        ({"domain": "A.example"}, ["carol@a.example"]),
        ({"state": "held"}, []),
        ({"account": "alice@example.org"}, ["carol@a.example", "dan@b.example"]),
        ({"account": "bob@example.net"}, []),
    ):
        shown = (await operator.get("/admin/queue", params=query)).text
        assert [each for each in ("carol@a.example", "dan@b.example") if each in shown] == found
    for query in ({"state": "lost"}, {"account": "nobody@example.org"}, {"domain": "a b"}, {"cursor": "x"}):
        assert (await operator.get("/admin/queue", params=query)).status_code == 422


async def test_marked_recipients_are_held_and_released(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@a.example", "dan@b.example")
    first, _ = await ids(world)
    path, back = "/admin/queue/actions", "/admin/queue?domain=a.example"
    held = await send(operator, path, action="hold", id=first, back=back)
    assert held.headers["location"] == f"{back}&done=queue_held&changed=1&marked=1"
    assert await states(world) == {"carol@a.example": QueueState.HELD, "dan@b.example": QueueState.QUEUED}
    assert "Held" in (await operator.get("/admin")).text
    await send(operator, path, action="release", id=first)
    assert await states(world) == dict.fromkeys(("carol@a.example", "dan@b.example"), QueueState.QUEUED)
    nothing = await send(operator, path, action="release", id=first, back="https://evil.example/")
    assert nothing.headers["location"] == "/?done=queue_released&changed=0&marked=1"


async def test_the_queue_tells_how_many_of_the_marked_recipients_were_changed(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@a.example", "dan@b.example", "erin@c.example")
    carol, dan, erin = await ids(world)

    async def told(action: str, *marked: str) -> str:
        led = await send(operator, "/admin/queue/actions", action=action, id=marked, confirmed="true")
        found = re.search(r'role="status">([^<]+)<', (await operator.get(led.headers["location"])).text)
        assert found is not None
        return found[1]

    assert await told("hold") == "Nothing was changed: no recipient was marked."
    assert await told("hold", carol) == "1 marked recipient is held until released."
    rest = "The rest is in a state that cannot be held."
    assert await told("hold", carol, dan) == f"1 of 2 marked recipients is held until released. {rest}"
    nothing = "Nothing was changed: none of the marked recipients is in a state that can be"
    assert await told("hold", carol, dan) == f"{nothing} held."
    assert await told("retry", carol) == f"{nothing} retried."
    assert await told("release", carol, dan) == "2 marked recipients are released, and attempted now."
    assert await told("drop", carol, dan, erin) == "3 marked recipients are dropped; the senders are not told."


@pytest.mark.parametrize("counts", ["", "&changed=x&marked=<b>", f"&changed=-1&marked={'9' * 9_999}"])
async def test_counts_that_are_not_numbers_are_not_shown(operator: httpx.AsyncClient, counts: str) -> None:
    shown = await operator.get(f"/admin/queue?done=queue_held{counts}")
    assert shown.status_code == 200
    assert "Nothing was changed: no recipient was marked." in shown.text


async def test_a_retry_makes_a_deferred_recipient_due(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@a.example")
    (claimed,) = await world.store.queue.claim("relay", 1, 1, {})
    await world.store.queue.settle([AttemptResult(claimed.lease, QueueState.QUEUED, next_attempt=time.time() + 9_999)])
    await send(operator, "/admin/queue/actions", action="retry", id=await ids(world))
    due = await world.store.queue.next_due()
    assert due is not None
    assert due <= time.time()


async def test_mail_is_dropped_only_after_a_second_click(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@a.example", "dan@b.example")
    marked, path = await ids(world), "/admin/queue/actions"
    asked = await send(operator, path, action="drop", id=marked)
    assert asked.status_code == 200
    assert "Drop 2 recipients?" in asked.text
    assert set((await states(world)).values()) == {QueueState.QUEUED}
    again = dict(re.findall(r'name="(\w+)" value="([^"]*)"', asked.text))
    dropped = await send(operator, path, **{**again, "id": marked})
    assert dropped.headers["location"] == "/admin/queue?done=queue_dropped&changed=2&marked=2"
    assert await states(world) == {}


async def test_suspended_destinations_are_shown_with_their_reason(
    operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await queue_mail(world, alice, "carol@dead.example")
    await world.store.queue.suspend("dead.example", "connection refused")
    for path in ("/admin/queue", "/admin"):
        shown = (await operator.get(path)).text
        assert "connection refused" in shown
        assert "/admin/queue?domain=dead.example" in shown


async def test_a_list_has_pages(operator: httpx.AsyncClient, world: MemoryBackend, alice: AccountId) -> None:
    await queue_mail(world, alice, *(f"user{number}@a.example" for number in range(60)))
    first = await operator.get("/admin/queue?domain=a.example")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following is not None
    second = await operator.get(following[1].replace("&amp;", "&"))
    assert "user59@a.example" not in first.text
    assert "user59@a.example" in second.text


async def test_addresses_are_suppressed_and_sent_to_again(operator: httpx.AsyncClient, world: MemoryBackend) -> None:
    path = "/admin/suppressions"
    await send(operator, path, address="gone@elsewhere.example", reason="moved <away>")
    shown = (await operator.get(path)).text
    assert "gone@elsewhere.example" in shown
    assert "moved &lt;away&gt;" in shown
    await send(operator, f"{path}/remove", address="gone@elsewhere.example")
    assert not await world.store.suppressions.page(10)
    absent = await send(operator, f"{path}/remove", address="gone@elsewhere.example")
    assert absent.status_code == 404
    assert "The address is not on the list." in absent.text


@pytest.mark.parametrize("address", ["nobody", "*@elsewhere.example"])
async def test_what_cannot_be_suppressed_is_refused_and_kept(operator: httpx.AsyncClient, address: str) -> None:
    response = await send(operator, "/admin/suppressions", address=address, reason="because")
    assert response.status_code == 422
    assert f'value="{address}"' in response.text
    assert 'value="because"' in response.text


async def test_an_address_of_this_server_is_not_suppressed(operator: httpx.AsyncClient) -> None:
    response = await send(operator, "/admin/suppressions", address="bob@example.net")
    assert response.status_code == 409
    assert "disable its user instead" in response.text
