"""`TracedQueueStore`: delegation, spans with their attributes, and no addresses in them."""

from collections.abc import Iterator

import pytest

from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueFilter, QueueState
from relate_mailstore.traced import TracedMailStore, TracedQueueStore
from relate_mailstore.types import AccountId
from tests.contract.outgoing import sent
from tests.support.factories import delivery, simple
from tests.support.telemetry.registry import undeclared_of_name
from tests.unit.mailstore.test_traced import RecordingOperations

ALICE = AccountId(7)


@pytest.fixture
def operations() -> Iterator[RecordingOperations]:
    """Records operations; at the end each must be declared in the registry."""
    recording = RecordingOperations()
    yield recording
    for each in recording.recorded:
        assert [*undeclared_of_name(each.name, "INTERNAL", each.attributes)] == []


async def test_each_operation_has_a_span_with_counts(operations: RecordingOperations) -> None:
    store = MemoryMailStore()
    queue = TracedQueueStore(store.queue, operations)
    receipt = await store.deliver(sent(ALICE, "carol@secret.example", "dan@secret.example"))
    assert (await queue.open(receipt.message_id)).size == len(simple())
    assert await queue.hold(QueueFilter(domain="secret.example")) == 2
    assert await queue.release(QueueFilter()) == 2
    assert await queue.retry(QueueFilter()) == 0
    assert len((await queue.find(QueueFilter(), 10)).items) == 2
    carol, _ = await queue.claim("one", 10, 10, {})
    assert await queue.settle([AttemptResult(carol.lease, QueueState.FAILED, "550 secret")], [delivery(ALICE)]) == []
    assert await queue.settle([AttemptResult(carol.lease, QueueState.DELIVERED)]) == [carol.lease]
    assert await queue.drop(QueueFilter()) == 1
    assert [(each.name.removeprefix("mailstore.queue."), each.attributes) for each in operations.recorded] == [
        ("open", {"mailstore.octets": len(simple())}),
        ("hold", {"mailstore.recipients": 2}),
        ("release", {"mailstore.recipients": 2}),
        ("retry", {"mailstore.recipients": 0}),
        ("find", {"mailstore.limit": 10, "mailstore.recipients": 2}),
        ("claim", {"mailstore.limit": 10, "mailstore.recipients": 2}),
        ("settle", {"mailstore.recipients": 1, "mailstore.messages": 1, "mailstore.lost_leases": 0}),
        ("settle", {"mailstore.recipients": 1, "mailstore.messages": 0, "mailstore.lost_leases": 1}),
        ("drop", {"mailstore.recipients": 1}),
    ]
    (entry,) = (await store.snapshot(ALICE)).entries
    assert (await store.open(ALICE, entry.message_id)).origin == operations.current


async def test_waiting_and_counting_have_no_span(operations: RecordingOperations) -> None:
    store = MemoryMailStore()
    queue = TracedQueueStore(store.queue, operations)
    async with queue.changes() as changes:
        await store.deliver(sent(ALICE, "carol@a.example"))
        await anext(changes)
    assert await queue.next_due() is not None
    assert await queue.next_due(["a.example"]) is None
    assert (await queue.statistics()).counts == {QueueState.QUEUED: 1}
    assert operations.recorded == []


async def test_a_delivery_counts_its_recipients_elsewhere(operations: RecordingOperations) -> None:
    store = TracedMailStore(MemoryMailStore(), operations)
    receipt = await store.deliver(sent(ALICE, "carol@a.example", "dan@b.example"))
    assert operations.last.attributes == {
        "mailstore.octets": len(simple()),
        "mailstore.destinations": 0,
        "mailstore.recipients": 2,
        "mailstore.batch": 1,
        "mailstore.message_id": str(receipt.message_id),
    }
