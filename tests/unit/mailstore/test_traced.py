"""`TracedMailStore`: delegation, spans with their attributes and links, and no mail in them."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from relate_mailstore.errors import MailboxNotFound, MaildropInUse, MessageNotFound, OverQuota, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.ports import MailStore
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.traced import TracedMailStore
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Delivery,
    Destination,
    Flag,
    FlagChange,
    Mailbox,
    MailboxId,
    MessageId,
    MessageQuery,
    NewMessage,
    Receipt,
    TextPart,
)
from relate_telemetry import operations as telemetry
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple, uids
from tests.support.telemetry.registry import undeclared_of_name

ALICE, BOB = AccountId(7), AccountId(8)
HOURLY = SendingLimit(3_600, 1)
SENDER = "00-11111111111111111111111111111111-1111111111111111-01"
READER = "00-22222222222222222222222222222222-2222222222222222-01"
LEADER = "00-33333333333333333333333333333333-3333333333333333-01"


@dataclass
class Recorded:
    name: str
    attributes: dict[str, int | str]
    expected_error: BaseException | None = None
    failure: BaseException | None = None
    ended: bool = False

    def set(self, key: str, value: int | str) -> None:
        assert not self.ended
        self.attributes[key] = value


class RecordingOperations:
    """Records operations; `current` is the traceparent of the current command's span."""

    def __init__(self) -> None:
        self.current: str | None = SENDER
        self.recorded: list[Recorded] = []
        self.read: list[str | None] = []

    @contextmanager
    def operation(
        self, name: str, attributes: Mapping[str, int], answers: tuple[type[Exception], ...]
    ) -> Iterator[Recorded]:
        recorded = Recorded(name, dict(attributes))
        self.recorded.append(recorded)
        try:
            yield recorded
        except answers as error:
            recorded.expected_error = error
            raise
        except BaseException as error:
            recorded.failure = error
            raise
        finally:
            recorded.ended = True

    def origin(self) -> str | None:
        return self.current

    def link_reader(self, traceparent: str | None) -> None:
        assert all(recorded.ended for recorded in self.recorded)  # the link belongs to the span of the command
        self.read.append(traceparent)

    @property
    def last(self) -> Recorded:
        return self.recorded[-1]


class SharedCommit(MemoryMailStore):
    """Every delivery shares a commit with two others."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        receipt = await super().deliver(delivery)
        return Receipt(receipt.message_id, receipt.entered, batch=3)


class Unavailable(MemoryMailStore):
    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        raise StoreUnavailable("the database did not respond")


@pytest.fixture
def operations() -> Iterator[RecordingOperations]:
    """Records operations; at the end each must be declared in the registry."""
    recording = RecordingOperations()
    yield recording
    undeclared = [undeclared_of_name(each.name, "INTERNAL", each.attributes) for each in recording.recorded]
    assert [*chain.from_iterable(undeclared)] == []


@pytest.fixture
def store(operations: RecordingOperations) -> MailStore:
    return TracedMailStore(MemoryMailStore(), operations)


async def test_deliver_sets_the_origin(store: MailStore) -> None:
    receipt = await store.deliver(delivery(ALICE, origin="set by the caller"))
    assert (await store.message(ALICE, receipt.message_id)).message.origin == SENDER


async def test_deliver_without_a_current_span_has_no_origin(store: MailStore, operations: RecordingOperations) -> None:
    operations.current = None
    receipt = await store.deliver(delivery(ALICE))
    assert (await store.message(ALICE, receipt.message_id)).message.origin is None
    assert operations.read == [None]


async def test_deliver_records_id_octets_destinations_and_batch(
    store: MailStore, operations: RecordingOperations
) -> None:
    receipt = await store.deliver(delivery(ALICE, Destination(ALICE, "Sent")))
    assert operations.last.name == "mailstore.deliver"
    assert operations.last.attributes == {
        "mailstore.account": ALICE,
        "mailstore.destinations": 2,
        "mailstore.octets": len(simple()),
        "mailstore.batch": 1,
        "mailstore.message_id": str(receipt.message_id),
    }


async def test_deliver_to_several_accounts_records_no_account(
    store: MailStore, operations: RecordingOperations
) -> None:
    await store.deliver(delivery(ALICE, BOB))
    assert "mailstore.account" not in operations.last.attributes


async def test_deliver_tells_the_size_of_its_batch(operations: RecordingOperations) -> None:
    await TracedMailStore(SharedCommit(), operations).deliver(delivery(ALICE))
    assert operations.last.attributes["mailstore.batch"] == 3


@pytest.mark.parametrize("method", ["open", "message"])
async def test_reading_a_message_links_the_command_to_its_delivery(
    store: MailStore, operations: RecordingOperations, method: str
) -> None:
    receipt = await store.deliver(delivery(ALICE))
    operations.current = READER
    await getattr(store, method)(ALICE, receipt.message_id)
    assert operations.read == [SENDER]
    assert operations.last.attributes["mailstore.octets"] == len(simple())


async def test_lists_have_no_links(store: MailStore, operations: RecordingOperations) -> None:
    receipt = await store.deliver(delivery(ALICE))
    await store.find(ALICE, MessageQuery())
    await store.snapshot(ALICE)
    await store.flag_message(ALICE, receipt.message_id, FlagChange(Flag.SEEN))
    assert operations.read == []


@pytest.mark.parametrize(
    ("method", "call", "expected"),
    [
        ("provision", lambda store, inbox, message: store.provision(ALICE), {}),
        (
            "tell_held",
            lambda store, inbox, message: store.tell_held(ALICE, HOURLY, Delivery(b"12345", ())),
            {"octets": 5},
        ),
        ("check_quota", lambda store, inbox, message: store.check_quota(ALICE, 5, 10**6), {"octets": 5}),
        ("mailbox", lambda store, inbox, message: store.mailbox(ALICE, "Sent"), {}),
        ("mailboxes", lambda store, inbox, message: store.mailboxes(ALICE), {"mailboxes": 6}),
        ("snapshot", lambda store, inbox, message: store.snapshot(ALICE), {"messages": 1}),
        ("open", lambda store, inbox, message: store.open(ALICE, message), {"octets": len(simple())}),
        (
            "open",
            lambda store, inbox, message: store.open(ALICE, message, [UNKNOWN_MESSAGE] * 2),
            {"octets": len(simple()), "ahead": 2},
        ),
        (
            "open_all",
            lambda store, inbox, message: store.open_all(ALICE, [message, UNKNOWN_MESSAGE, message], [message]),
            {"messages": 3, "octets": 2 * len(simple()), "ahead": 1},
        ),
        ("message", lambda store, inbox, message: store.message(ALICE, message), {"octets": len(simple())}),
        (
            "find",
            lambda store, inbox, message: store.find(ALICE, MessageQuery(text="hello")),
            {"limit": 50, "messages": 1},
        ),
        (
            "set_flags",
            lambda store, inbox, message: store.set_flags(ALICE, inbox, [1, 2], FlagChange(Flag.SEEN)),
            {"uids": 2, "entries": 1},
        ),
        (
            "flag_message",
            lambda store, inbox, message: store.flag_message(ALICE, message, FlagChange(Flag.SEEN)),
            {"mailboxes": 1},
        ),
        (
            "expunge",
            lambda store, inbox, message: store.expunge(ALICE, inbox, [1, 2]),
            {"uids": 2, "entries": 1},
        ),
        ("delete_message", lambda store, inbox, message: store.delete_message(ALICE, message), {}),
        ("create_mailbox", lambda store, inbox, message: store.create_mailbox(ALICE, "Mine"), {}),
        ("delete_mailbox", lambda store, inbox, message: store.delete_mailbox(ALICE, "Junk"), {}),
        ("rename_mailbox", lambda store, inbox, message: store.rename_mailbox(ALICE, "Junk", "Mine"), {}),
        ("subscriptions", lambda store, inbox, message: store.subscriptions(ALICE), {"names": 6}),
        ("subscribe", lambda store, inbox, message: store.subscribe(ALICE, "Mine", True), {}),
        ("take_recent", lambda store, inbox, message: store.take_recent(ALICE, inbox), {}),
        (
            "append",
            lambda store, inbox, message: store.append(ALICE, "Sent", [NewMessage(b"12345")] * 2),
            {"messages": 2, "octets": 10},
        ),
        ("copy", lambda store, inbox, message: store.copy(ALICE, inbox, [1, 2], "Sent"), {"uids": 2, "entries": 1}),
        ("move", lambda store, inbox, message: store.move(ALICE, inbox, [1, 2], "Sent"), {"uids": 2, "entries": 1}),
        ("vanished", lambda store, inbox, message: store.vanished(ALICE, inbox, 0), {"entries": 0}),
        ("usage", lambda store, inbox, message: store.usage(ALICE), {"octets": len(simple())}),
        ("renderings", lambda store, inbox, message: store.renderings(ALICE, [message]), {"messages": 1}),
        ("indexes", lambda store, inbox, message: store.indexes(ALICE, [message]), {"messages": 1}),
        ("headers", lambda store, inbox, message: store.headers(ALICE, [message]), {"messages": 1}),
    ],
)
async def test_each_call_has_a_span_with_the_account_and_its_counts(
    store: MailStore,
    operations: RecordingOperations,
    method: str,
    call: Callable[[MailStore, MailboxId, MessageId], Awaitable[object]],
    expected: dict[str, int],
) -> None:
    receipt = await store.deliver(delivery(ALICE))
    inbox = await store.mailbox(ALICE)
    operations.recorded.clear()
    await call(store, inbox.id, receipt.message_id)
    assert [recorded.name for recorded in operations.recorded] == [f"mailstore.{method}"]
    assert operations.last.attributes == {
        "mailstore.account": ALICE,
        **{f"mailstore.{key}": value for key, value in expected.items()},
    }


async def test_search_records_counts_but_not_the_text(store: MailStore, operations: RecordingOperations) -> None:
    await store.deliver(delivery(ALICE, raw=simple("secret")))
    snapshot = await store.snapshot(ALICE)
    operations.recorded.clear()
    assert len(await store.summaries(snapshot)) == 1
    assert await store.containing(snapshot, "secret", TextPart.ANYWHERE) == {1}
    assert [(recorded.name, recorded.attributes) for recorded in operations.recorded] == [
        ("mailstore.summaries", {"mailstore.account": ALICE, "mailstore.messages": 1}),
        ("mailstore.containing", {"mailstore.account": ALICE, "mailstore.messages": 1, "mailstore.entries": 1}),
    ]


async def test_refresh_has_no_span(store: MailStore, operations: RecordingOperations) -> None:
    await store.deliver(delivery(ALICE))
    snapshot = await store.snapshot(ALICE)
    operations.recorded.clear()
    assert await store.refresh(snapshot) is snapshot
    assert operations.recorded == []


async def test_append_sets_the_origin(store: MailStore, operations: RecordingOperations) -> None:
    await store.provision(ALICE)
    await store.append(ALICE, "Sent", [NewMessage(simple(), origin="set by the caller")])
    (entry,) = (await store.snapshot(ALICE, "Sent")).entries
    assert (await store.message(ALICE, entry.message_id)).message.origin == SENDER


@pytest.mark.parametrize("method", ["copy", "move"])
async def test_copy_links_the_command_to_the_deliveries(
    store: MailStore, operations: RecordingOperations, method: str
) -> None:
    for operations.current in (SENDER, LEADER, None):
        await store.deliver(delivery(ALICE))
    operations.current = READER
    await getattr(store, method)(ALICE, (await store.mailbox(ALICE)).id, [1, 2, 3], "Sent")
    assert sorted(filter(None, operations.read)) == [SENDER, LEADER]


async def test_results_are_those_of_the_inner_store(operations: RecordingOperations) -> None:
    inner = MemoryMailStore()
    store = TracedMailStore(inner, operations)
    receipt = await store.deliver(delivery(ALICE))
    inbox = await store.mailbox(ALICE)
    assert inbox == await inner.mailbox(ALICE)
    assert await store.mailboxes(ALICE) == await inner.mailboxes(ALICE)
    assert await store.snapshot(ALICE) is await inner.snapshot(ALICE)
    assert await store.find(ALICE, MessageQuery()) == await inner.find(ALICE, MessageQuery())
    assert await (await store.open(ALICE, receipt.message_id)).read() == simple()
    seen = FlagChange(Flag.SEEN)
    assert [entry.flags for entry in (await store.set_flags(ALICE, inbox.id, uids(1), seen)).entries] == [Flag.SEEN]
    assert (await store.flag_message(ALICE, receipt.message_id, seen)).flags == Flag.SEEN
    assert list(await store.expunge(ALICE, inbox.id, uids(1))) == [1]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda store: store.mailbox(ALICE, "Nowhere"), MailboxNotFound),
        (lambda store: store.deliver(delivery(Destination(ALICE, "Nowhere"))), MailboxNotFound),
        (lambda store: store.open(ALICE, UNKNOWN_MESSAGE), MessageNotFound),
        (lambda store: store.message(ALICE, UNKNOWN_MESSAGE), MessageNotFound),
        (lambda store: store.check_quota(ALICE, 2, 1), OverQuota),
    ],
)
async def test_store_error_passes_the_span_as_an_expected_error(
    store: MailStore,
    operations: RecordingOperations,
    call: Callable[[MailStore], Awaitable[object]],
    error: type[Exception],
) -> None:
    with pytest.raises(error) as raised:
        await call(store)
    assert operations.last.expected_error is raised.value
    assert operations.read == []


async def test_unavailable_store_is_a_failure(operations: RecordingOperations) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        await TracedMailStore(Unavailable(), operations).mailbox(ALICE)
    assert operations.last.failure is raised.value


async def test_span_of_a_maildrop_lock_ends_on_acquisition(store: MailStore, operations: RecordingOperations) -> None:
    async with store.lock_maildrop(ALICE):
        assert operations.last.name == "mailstore.lock_maildrop"
        assert operations.last.ended
        with pytest.raises(MaildropInUse) as refused:
            await store.lock_maildrop(ALICE).__aenter__()
        assert operations.last.expected_error is refused.value
    async with store.lock_maildrop(ALICE):
        assert operations.last.expected_error is None


async def test_error_of_a_session_that_holds_the_maildrop_is_no_failure(
    store: MailStore, operations: RecordingOperations
) -> None:
    with pytest.raises(RuntimeError, match="of the session"):
        async with store.lock_maildrop(ALICE):
            raise RuntimeError("an error of the session")
    assert operations.last.failure is None
    async with store.lock_maildrop(ALICE):
        pass


async def test_listen_ping_and_close_have_no_span(store: MailStore, operations: RecordingOperations) -> None:
    await store.provision(ALICE)
    async with store.listen(ALICE) as notices:
        await store.deliver(delivery(ALICE))
        operations.recorded.clear()
        assert (await anext(notices)).origin == SENDER
    await store.ping()
    await store.close()
    assert operations.recorded == []


async def test_spans_have_neither_mail_nor_mailbox_names(store: MailStore, operations: RecordingOperations) -> None:
    receipt = await store.deliver(delivery(Destination(ALICE, "Sent", keywords=("secret",)), raw=simple("secret")))
    await store.snapshot(ALICE, "Sent")
    await store.find(ALICE, MessageQuery(mailbox="Sent", text="secret", keyword="secret"))
    await store.message(ALICE, receipt.message_id)
    with pytest.raises(MailboxNotFound) as refused:
        await store.mailbox(ALICE, "secret")
    emitted = repr([(recorded.name, recorded.attributes) for recorded in operations.recorded])
    assert "secret" not in emitted + str(refused.value)
    assert "Sent" not in emitted


async def test_spans_with_the_real_operations() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    store = TracedMailStore(MemoryMailStore(), telemetry.Operations(tracer, lambda name: name))

    with tracer.start_as_current_span("DATA") as data:
        receipt = await store.deliver(delivery(ALICE))
    with tracer.start_as_current_span("FETCH"):
        await store.open(ALICE, receipt.message_id)
        with pytest.raises(OverQuota):
            await store.check_quota(ALICE, 1, 0)

    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert list(spans) == ["mailstore.deliver", "DATA", "mailstore.open", "mailstore.check_quota", "FETCH"]
    assert [link.context.span_id for link in spans["FETCH"].links] == [data.get_span_context().span_id]
    assert not any(span.links for name, span in spans.items() if name != "FETCH")
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}
    provider.shutdown()
