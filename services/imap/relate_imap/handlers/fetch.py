"""FETCH and UID FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162) and PARTIAL (RFC 9394)."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat

from relate_imap import replies, responses
from relate_imap.commands import Attribute, Body, Fetch, Item
from relate_imap.conversation import Conversation, Extension
from relate_imap.fetch.contents import COALESCE_OCTETS, SectionReader, UnfinishedLiteral, coalesce
from relate_imap.fetch.plan import Batch, Plan, PlanOptions, make_plan
from relate_imap.replies import Refused, TaggedResponse
from relate_imap.search.partial import HEADERS_BATCH_OCTETS, batches, page
from relate_imap.selected.flags import SEEN
from relate_imap.selected.mailbox import NumberedEntries
from relate_imap.selected.sequence_set import make_set
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.entry_columns import EntryColumns
from relate_mailstore.errors import MessageNotFound, StoreError
from relate_mailstore.types import Entry, FlagChange, Uid
from relate_wire.reply import NO_FACTS, Facts

FLAGS_BATCH_MESSAGES = 500  # yield to other sessions after this many
RENDERINGS_BATCH_MESSAGES = 256  # one store query
HEADERS_BATCH_MESSAGES = 64  # worst-case headers fit into memory
BODIES_BATCH_MESSAGES = 64  # one store query
BODIES_BATCH_OCTETS = 1024 * 1024  # in memory twice, as the next batch is prefetched; large messages are streamed

UID, FLAGS, MODSEQ = Item("UID"), Item("FLAGS"), Item("MODSEQ")


async def on_fetch(conversation: Conversation, command: Fetch) -> TaggedResponse:
    """Send small responses together with the tagged line, and stream large ones."""
    _note_condstore(conversation, command)
    vanished = await _vanished(conversation, command)
    messages = _requested_messages(conversation, command)
    messages, changed = await _mark_seen(conversation, command, messages)
    announced = responses.new_keywords(conversation.selected, changed)
    options = PlanOptions(conversation.utf8, conversation.recent_uids)
    plan = make_plan(tuple(_attributes(conversation, command, seen=bool(changed))), options)
    run = _FetchRun(conversation, plan, messages, changed)
    batch = await run.next_batch()
    complete = run.complete_response(batch)
    if complete is not None:
        return run.completed(vanished + announced + complete)
    return TaggedResponse("OK", "Fetch completed", untagged=vanished + announced, body=run.stream(batch))


def _note_condstore(conversation: Conversation, command: Fetch) -> None:
    """RFC 7162 §3.1, §3.2.6"""
    if command.vanished and (Extension.QRESYNC not in conversation.enabled or command.changed_since is None):
        raise Refused("VANISHED needs CHANGEDSINCE, and QRESYNC enabled", bad=True)
    if command.changed_since is not None or MODSEQ in command.attributes:
        conversation.enabled.add(Extension.CONDSTORE)


async def _vanished(conversation: Conversation, command: Fetch) -> bytes:
    if not command.vanished or command.changed_since is None:
        return b""
    saved = make_set((uid, uid) for uid in conversation.saved_uids)
    among = saved if command.sequence_set.saved else command.sequence_set
    return responses.vanished(await vanished_since(conversation, command.changed_since, among), earlier=True)


def _requested_messages(conversation: Conversation, command: Fetch) -> NumberedEntries:
    """RFC 9394 §3.4: PARTIAL is applied before CHANGEDSINCE."""
    messages = conversation.messages_in(command.sequence_set, uid=command.verb == "UID FETCH")
    if command.partial is not None:
        messages = messages.at(page(messages.positions, command.partial))
    return messages if command.changed_since is None else messages.changed_since(command.changed_since)


async def _mark_seen(
    conversation: Conversation, command: Fetch, messages: NumberedEntries
) -> tuple[NumberedEntries, Sequence[Entry]]:
    """Set \\Seen at once, unless every body is PEEK; returns the updated messages and the changed entries."""
    selected = conversation.selected
    reads = any(isinstance(attribute, Body) and not attribute.peek for attribute in command.attributes)
    unseen = _unseen(messages.columns) if reads and not selected.read_only else []
    if not unseen:
        return messages, ()
    mailbox, store = selected.snapshot.mailbox, conversation.context.store
    flagged = await store.set_flags(conversation.account, mailbox.id, unseen, FlagChange(add=SEEN))
    return messages.with_changed(flagged.entries), flagged.entries


def _unseen(entries: EntryColumns) -> list[Uid]:
    return [Uid(uid) for uid, flags in zip(entries.uid, entries.flags, strict=True) if not flags & SEEN]


def _attributes(conversation: Conversation, command: Fetch, *, seen: bool) -> Iterator[Attribute]:
    """The requested attributes, and those that the response must include; `seen` if flags have changed."""
    if command.verb == "UID FETCH":
        yield UID
    yield from command.attributes
    if seen:
        yield FLAGS
    if command.changed_since is not None or (seen and conversation.sends_modseq):
        yield MODSEQ


@dataclass
class _FetchRun:
    """The execution of one FETCH. Messages that are expunged meanwhile are left out (RFC 2180 §4.1.3).

    `changed` are the messages that it has marked \\Seen; if it fails, pending updates send their flags.
    """

    conversation: Conversation
    plan: Plan
    messages: NumberedEntries
    changed: Sequence[Entry] = ()
    retrieved_count: int = 0
    expunged: bool = False
    refused: TaggedResponse | None = None

    def __post_init__(self) -> None:
        nothing = self.messages[:0]
        self._batches = pairwise(chain(self._split(), [nothing]))
        self._following = nothing

    async def next_batch(self) -> Batch | None:
        """The next batch, with what the plan needs from the store; None after the last."""
        messages, self._following = next(self._batches, (self._following, self._following))
        if not messages:
            return None
        batch = Batch(messages.numbers, messages.columns)
        await self._load(batch)
        if self.plan.bodies:
            await self._open(batch)
        return batch

    def complete_response(self, batch: Batch | None) -> bytes | None:
        """The complete response, if this is the only batch and all its bodies are in memory; None otherwise."""
        if batch is None:
            return b""
        if self._following:
            return None
        if not self.plan.bodies:
            return b"".join(self.plan.lines(batch))
        if sum(raw.size for raw in batch.opened) > COALESCE_OCTETS:
            return None
        responses = [reader.response_from_memory(head, self.plan.bodies) for head, reader in self._readers(batch)]
        if None in responses:
            return None
        self.retrieved_count = len(responses) if self.plan.retrieves_content else 0
        return b"".join(filter(None, responses))

    def completed(self, untagged: bytes = b"") -> TaggedResponse:
        """The tagged response. The changed flags were sent, so pending updates leave them out."""
        self.conversation.selected.mark_announced(self.changed)
        if self.expunged:  # RFC 5530 §3; OK as in Dovecot, because the client was sent all that exists
            return TaggedResponse(
                "OK", "Some messages were already expunged", "EXPUNGEISSUED", untagged=untagged, facts=self._facts
            )
        return TaggedResponse("OK", "Fetch completed", untagged=untagged, facts=self._facts)

    async def stream(self, batch: Batch | None) -> AsyncIterator[bytes | TaggedResponse]:
        """The responses of this and all following batches, then the tagged response."""
        try:
            while batch is not None:
                if self.plan.bodies:
                    async for chunk in self._bodies(batch):
                        yield chunk
                else:
                    yield b"".join(self.plan.lines(batch))
                batch = await self.next_batch()
        except StoreError as error:
            yield replace(replies.from_error(error), facts=self._facts)
        else:
            yield replace(self.refused, facts=self._facts) if self.refused else self.completed()

    def _split(self) -> Iterable[NumberedEntries]:
        """The messages of each batch."""
        if self.plan.bodies:
            return self._split_by_size(BODIES_BATCH_MESSAGES, BODIES_BATCH_OCTETS)
        if self.plan.needs_headers:
            return self._split_by_size(HEADERS_BATCH_MESSAGES, HEADERS_BATCH_OCTETS)
        step = RENDERINGS_BATCH_MESSAGES if self.plan.needs_renderings else FLAGS_BATCH_MESSAGES
        return (self.messages[start : start + step] for start in range(0, len(self.messages), step))

    def _split_by_size(self, max_count: int, max_octets: int) -> Iterable[NumberedEntries]:
        sizes = self.messages.sizes
        for batch in batches(range(len(sizes)), sizes.__getitem__, max_count, max_octets):
            yield self.messages[batch[0] : batch[-1] + 1]

    async def _load(self, batch: Batch) -> None:
        """Query the store for the columns of the plan; expunged messages are dropped from the batch."""
        plan, store, account = self.plan, self.conversation.context.store, self.conversation.account
        requested = len(batch.entries)
        if plan.needs_renderings:
            batch.add_results("renderings", await store.renderings(account, batch.ids))
        if plan.needs_headers:
            batch.add_results("headers", await store.headers(account, batch.ids))
        if plan.needs_index:
            batch.add_results("indexes", await store.indexes(account, batch.ids))
        self.expunged = self.expunged or len(batch.entries) < requested

    async def _open(self, batch: Batch) -> None:
        """Open the messages, and let the store prefetch those of the next batch or command."""
        selected, requested = self.conversation.selected, len(batch.entries)
        ahead = self._following or selected.prefetch_candidates(self.messages.numbers[0], self.messages.numbers[-1])
        ids = [entry.message_id for _, entry in ahead]
        store, account = self.conversation.context.store, self.conversation.account
        batch.add_results("opened", await store.open_all(account, batch.ids, ids))
        self.expunged = self.expunged or len(batch.entries) < requested

    def _readers(self, batch: Batch) -> Iterator[tuple[bytes, SectionReader]]:
        """The beginning of each response, and the reader of its bodies."""
        return zip(self.plan.lines(batch), map(SectionReader, batch.opened, batch.indexes or repeat(None)), strict=True)

    async def _bodies(self, batch: Batch) -> AsyncIterator[bytes]:
        """The responses of a batch: those in memory are coalesced, all others are streamed."""
        ready, octets = list[bytes](), 0
        for head, reader in self._readers(batch):
            response = reader.response_from_memory(head, self.plan.bodies)
            if response is not None:
                ready.append(response)
                octets += len(response)
                self.retrieved_count += self.plan.retrieves_content
            if ready and (response is None or octets > COALESCE_OCTETS):
                yield b"".join(ready)
                ready, octets = [], 0
            if response is None:
                async for chunk in self._stream_message(head, reader):
                    yield chunk
        if ready:
            yield b"".join(ready)

    async def _stream_message(self, head: bytes, reader: SectionReader) -> AsyncIterator[bytes]:
        """One response. An error before its first chunk skips the message; a later one closes the connection."""
        chunks = coalesce(reader.response(head, self.plan.bodies))
        try:
            yield await anext(chunks)
        except MessageNotFound:
            self.expunged = True
            return
        except Refused as refusal:
            self.refused = refusal.response
            return
        try:
            async for chunk in chunks:
                yield chunk
        except StoreError as error:
            raise UnfinishedLiteral("the message could not be read to its end") from error
        self.retrieved_count += self.plan.retrieves_content

    @property
    def _facts(self) -> Facts:
        return Facts(messages_retrieved=self.retrieved_count) if self.retrieved_count else NO_FACTS
