"""FETCH and UID FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162) and PARTIAL (RFC 9394)."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat

from relate_imap import replies, responses
from relate_imap.commands import Attribute, Body, Fetch, Item
from relate_imap.conversation import Conversation, Extension
from relate_imap.fetch.contents import GATHERED, Contents, UnfinishedLiteral, gather
from relate_imap.fetch.plan import Batch, Plan, Reader, make_plan
from relate_imap.flags import SEEN
from relate_imap.replies import Answer, Refused
from relate_imap.search.partial import HEADERS_OCTETS, page, portions
from relate_imap.selected.mailbox import Numbered
from relate_imap.selected.sequence_set import make_set
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.errors import MessageNotFound, StoreError
from relate_mailstore.types import Entry, FlagChange
from relate_wire.reply import NO_FACTS, Facts

# How many messages are answered together: as others wait for their turn meanwhile; as one question to the store is
# about; as their headers fit into memory, be they as long as they may; as are opened together,
FROM_MEMORY, RENDERED, WITH_HEADERS, WITH_BODIES = 500, 256, 64, 64
# and no more octets of them, as the next ones are fetched meanwhile. Large messages are never held, but counted.
BODIES_OCTETS = 1024 * 1024

UID, FLAGS, MODSEQ = Item("UID"), Item("FLAGS"), Item("MODSEQ")


async def on_fetch(conversation: Conversation, command: Fetch) -> Answer:
    """What is known or read at once is answered at once; all else goes out as it is read."""
    _note_condstore(conversation, command)
    vanished = await _vanished(conversation, command)
    picked = _pick(conversation, command)
    picked, changed = await _mark_seen(conversation, command, picked)
    announced = responses.new_keywords(conversation.selected, changed)
    plan = make_plan(tuple(_attributes(conversation, command, seen=bool(changed))), _reader(conversation))
    fetching = _Fetching(conversation, plan, picked, changed)
    batch = await fetching.next_batch()
    whole = fetching.whole(batch)
    if whole is not None:
        return fetching.completed(vanished + announced + whole)
    return Answer("OK", "Fetch completed", untagged=vanished + announced, body=fetching.chunks(batch))


def _note_condstore(conversation: Conversation, command: Fetch) -> None:
    """RFC 7162 §3.1, §3.2.6"""
    if command.vanished and (Extension.QRESYNC not in conversation.enabled or command.changed_since is None):
        raise Refused("VANISHED needs CHANGEDSINCE, and QRESYNC enabled", bad=True)
    if command.changed_since is not None or MODSEQ in command.attributes:
        conversation.enabled.add(Extension.CONDSTORE)


async def _vanished(conversation: Conversation, command: Fetch) -> bytes:
    if not command.vanished or command.changed_since is None:
        return b""
    saved = make_set((uid, uid) for uid in conversation.saved)
    among = saved if command.numbers.saved else command.numbers
    return responses.vanished(await vanished_since(conversation, command.changed_since, among), earlier=True)


def _pick(conversation: Conversation, command: Fetch) -> Sequence[Numbered]:
    """RFC 9394 §3.4: what has changed, of what PARTIAL leaves."""
    picked: Sequence[Numbered] = conversation.pick(command.numbers, uid=command.verb == "UID FETCH")
    if command.partial is not None:
        picked = page(picked, command.partial)
    if command.changed_since is not None:
        picked = [numbered for numbered in picked if numbered[1].modseq > command.changed_since]
    return picked


async def _mark_seen(
    conversation: Conversation, command: Fetch, picked: Sequence[Numbered]
) -> tuple[Sequence[Numbered], Sequence[Entry]]:
    """What is read is \\Seen from now on, all in one go: the messages as they are then, and those that changed."""
    view = conversation.selected
    reads = any(isinstance(attribute, Body) and not attribute.peek for attribute in command.attributes)
    unseen = [entry.uid for _, entry in picked if not entry.flags & SEEN] if reads and not view.read_only else []
    if not unseen:
        return picked, ()
    mailbox, store = view.snapshot.mailbox, conversation.context.store
    flagged = await store.set_flags(conversation.account, mailbox.id, unseen, FlagChange(add=SEEN))
    changed = {entry.uid: entry for entry in flagged.entries}
    return [(number, changed.get(entry.uid, entry)) for number, entry in picked], flagged.entries


def _attributes(conversation: Conversation, command: Fetch, *, seen: bool) -> Iterator[Attribute]:
    """Those that were asked for, and those that are owed."""
    if command.verb == "UID FETCH":
        yield UID
    yield from command.attributes
    if seen:
        yield FLAGS
    if command.changed_since is not None or (seen and conversation.tells_modseq):
        yield MODSEQ


def _reader(conversation: Conversation) -> Reader:
    return Reader(conversation.utf8, conversation.recent_uids)


def _size(numbered: Numbered) -> int:
    return numbered[1].size


def _batch(picked: Sequence[Numbered]) -> Batch:
    return Batch([number for number, _ in picked], [entry for _, entry in picked])


@dataclass
class _Fetching:
    """One FETCH under way. A message that is gone meanwhile is left out (RFC 2180 §4.1.3).

    `changed` are those that it made \\Seen: what it does not come to tell of them will be told as news.
    """

    conversation: Conversation
    plan: Plan
    picked: Sequence[Numbered]
    changed: Sequence[Entry] = ()
    retrieved: int = 0
    gone: bool = False
    refused: Answer | None = None

    def __post_init__(self) -> None:
        self._todo = pairwise(chain(self._portions(), [()]))
        self._following: Sequence[Numbered] = ()

    async def next_batch(self) -> Batch | None:
        """The next messages that are answered together, with what the store has of them; None after the last."""
        picked, self._following = next(self._todo, ((), ()))
        if not picked:
            return None
        batch = _batch(picked)
        await self._ask(batch)
        if self.plan.bodies:
            await self._open(batch)
        return batch

    def whole(self, batch: Batch | None) -> bytes | None:
        """All there is to say, if this batch is all there is and its messages are at hand; else None."""
        if batch is None:
            return b""
        if self._following:
            return None
        if not self.plan.bodies:
            return b"".join(self.plan.lines(batch))
        if sum(raw.size for raw in batch.opened) > GATHERED:
            return None
        responses = [contents.at_once(head, self.plan.bodies) for head, contents in self._contents(batch)]
        if None in responses:
            return None
        self.retrieved = len(responses) if self.plan.shows_content else 0
        return b"".join(filter(None, responses))

    def completed(self, untagged: bytes = b"") -> Answer:
        """It is done. What was changed was told, and is no news."""
        self.conversation.selected.tell(self.changed)
        if self.gone:  # RFC 5530 §3; Dovecot says OK, too: the client has all that there is
            return Answer(
                "OK", "Some messages were already expunged", "EXPUNGEISSUED", untagged=untagged, facts=self._facts
            )
        return Answer("OK", "Fetch completed", untagged=untagged, facts=self._facts)

    async def chunks(self, batch: Batch | None) -> AsyncIterator[bytes | Answer]:
        """The responses, of a batch and all that follow, and how it went."""
        try:
            while batch is not None:
                if self.plan.bodies:
                    async for chunk in self._read(batch):
                        yield chunk
                else:
                    yield b"".join(self.plan.lines(batch))
                batch = await self.next_batch()
        except StoreError as error:
            yield replace(replies.from_error(error), facts=self._facts)
        else:
            yield replace(self.refused, facts=self._facts) if self.refused else self.completed()

    def _portions(self) -> Iterable[Sequence[Numbered]]:
        """What is answered together."""
        if self.plan.bodies:
            return portions(self.picked, _size, WITH_BODIES, BODIES_OCTETS)
        if self.plan.needs_headers:
            return portions(self.picked, _size, WITH_HEADERS, HEADERS_OCTETS)
        step = RENDERED if self.plan.needs_renderings else FROM_MEMORY
        return (self.picked[start : start + step] for start in range(0, len(self.picked), step))

    async def _ask(self, batch: Batch) -> None:
        """What the plan needs of all messages of a batch; those that are gone are no longer in it."""
        plan, store, account = self.plan, self.conversation.context.store, self.conversation.account
        asked = len(batch.entries)
        if plan.needs_renderings:
            batch.learn("renderings", await store.renderings(account, batch.ids))
        if plan.needs_headers:
            batch.learn("headers", await store.headers(account, batch.ids))
        if plan.needs_index:
            batch.learn("indexes", await store.indexes(account, batch.ids))
        self.gone = self.gone or len(batch.entries) < asked

    async def _open(self, batch: Batch) -> None:
        """Open the messages; those that will be asked for next are fetched while these are sent."""
        view, asked = self.conversation.selected, len(batch.entries)
        ahead = self._following or view.upcoming(self.picked[0][0], self.picked[-1][0])
        ids = [entry.message_id for _, entry in ahead]
        store, account = self.conversation.context.store, self.conversation.account
        batch.learn("opened", await store.open_all(account, batch.ids, ids))
        self.gone = self.gone or len(batch.entries) < asked

    def _contents(self, batch: Batch) -> Iterator[tuple[bytes, Contents]]:
        """The beginning of each response, and what it is about."""
        return zip(self.plan.lines(batch), map(Contents, batch.opened, batch.indexes or repeat(None)), strict=True)

    async def _read(self, batch: Batch) -> AsyncIterator[bytes]:
        """Those that are at hand are put together, all others are read as they are sent."""
        ready, octets = list[bytes](), 0
        for head, contents in self._contents(batch):
            response = contents.at_once(head, self.plan.bodies)
            if response is not None:
                ready.append(response)
                octets += len(response)
                self.retrieved += self.plan.shows_content
            if ready and (response is None or octets > GATHERED):
                yield b"".join(ready)
                ready, octets = [], 0
            if response is None:
                async for chunk in self._stream(head, contents):
                    yield chunk
        if ready:
            yield b"".join(ready)

    async def _stream(self, head: bytes, contents: Contents) -> AsyncIterator[bytes]:
        """Trouble before the first chunk of a message is told after the one before it, and later ends everything."""
        pieces = gather(contents.response(head, self.plan.bodies))
        try:
            yield await anext(pieces)
        except MessageNotFound:
            self.gone = True
            return
        except Refused as refusal:
            self.refused = refusal.answer
            return
        try:
            async for piece in pieces:
                yield piece
        except StoreError as error:
            raise UnfinishedLiteral("a message could not be read to its end") from error
        self.retrieved += self.plan.shows_content

    @property
    def _facts(self) -> Facts:
        return Facts(messages_retrieved=self.retrieved) if self.retrieved else NO_FACTS
