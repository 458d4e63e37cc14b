"""Executes the search of SEARCH, SORT and THREAD.

Data is loaded lazily, only for the messages that cheaper keys have left. Only messages that the client numbers are
searched (RFC 9051 §7.5.1).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_imap.search.cost import Cost, Lookup, by_cost, cost_of, leaves, lookups, steps_of, uses_modseq
from relate_imap.search.keys import HasHeader, HasText, SearchKey
from relate_imap.search.match import Positions, SearchData, match_all
from relate_imap.search.partial import HEADERS_BATCH_OCTETS, batches
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.folding import fold
from relate_mailstore.summary_text import EMPTY_SUMMARY
from relate_mailstore.types import Summary, TextPart, Uid
from relate_mime import decode_header, header_fields
from relate_mime.fields import unfold

HEADERS_BATCH_MESSAGES = 64
"""Headers are read in batches of this size."""

MAX_LOOKUPS = 100
"""Of one search: texts, and fields outside of summaries. Each of them searches the messages themselves."""

OCTETS_PER_STEP = 20
"""Of a header that is scanned for fields."""


class SearchResult(NamedTuple):
    """Positions of the matching messages, ascending; a message's number is its position plus 1.

    `expunged` means that messages were left out because another session has expunged them; the client still numbers
    them.
    """

    positions: Positions
    expunged: bool = False

    def completed(self, text: str, untagged: bytes) -> TaggedResponse:
        """The tagged response; EXPUNGEISSUED if messages were left out (RFC 5530 §3, RFC 2180 §4.1)."""
        if self.expunged:
            return ok("Some messages were already expunged", "EXPUNGEISSUED", untagged)
        return ok(text, untagged=untagged)


async def run_search(conversation: Conversation, key: SearchKey) -> SearchResult:
    """The messages that match. Raises Refused for too many lookups."""
    if len([*lookups([key])]) > MAX_LOOKUPS:
        raise Refused("Too many search texts", "LIMIT")
    if uses_modseq(key):
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    selected, context = conversation.selected, conversation.context
    data = SearchData(selected.entries, context.now(), conversation.recent_uids, conversation.saved_uids)
    positions: Positions = range(len(selected.entries))
    inspected: Positions = ()
    for cost, keys in by_cost(key):
        if positions and cost >= Cost.SUMMARY:
            inspected = inspected or positions
            data = await _load(conversation, data, keys, positions)
        steps = sum(steps_of(leaf, len(positions)) for leaf in leaves(keys))
        positions = await context.compute(steps, partial(match_all, keys, data, positions))
    return await without_expunged(conversation, SearchResult(positions), inspected)


async def without_expunged(conversation: Conversation, result: SearchResult, inspected: Positions) -> SearchResult:
    """The result without inspected messages that are expunged and so could not be loaded."""
    expunged = await _expunged_uids(conversation) if inspected else ()
    gone = frozenset(conversation.selected.with_uids(expunged).positions)
    if gone.isdisjoint(inspected):
        return result
    return SearchResult([position for position in result.positions if position not in gone], expunged=True)


async def _expunged_uids(conversation: Conversation) -> Collection[Uid]:
    """UIDs of expunged messages that the client still numbers."""
    selected = conversation.selected
    try:
        return selected.expunged_uids(await conversation.context.store.refresh(selected.snapshot))
    except MailboxNotFound:
        return selected.entries.column("uid")


async def summaries_of(conversation: Conversation) -> Sequence[Summary]:
    """A summary per message that the client numbers; EMPTY_SUMMARY for expunged ones."""
    selected = conversation.selected
    summaries = await conversation.context.store.summaries(selected.snapshot)
    if selected.matches_snapshot:
        return summaries
    by_uid = dict(zip(selected.snapshot.entries.column("uid"), summaries, strict=True))
    return [by_uid.get(uid, EMPTY_SUMMARY) for uid in selected.entries.column("uid")]


async def _load(
    conversation: Conversation, data: SearchData, keys: Sequence[SearchKey], positions: Positions
) -> SearchData:
    """Load what these keys need of these messages."""
    if not data.summaries and any(cost_of(leaf) is Cost.SUMMARY for leaf in leaves(keys)):
        data = replace(data, summaries=await summaries_of(conversation))
    lookup_keys = [*lookups(keys)]
    found: dict[Lookup, Collection[Uid]] = {}
    for key in lookup_keys:
        if isinstance(key, HasText):
            part = TextPart.BODY if key.body_only else TextPart.ANYWHERE
            snapshot = conversation.selected.snapshot
            found[key] = await conversation.context.store.containing(snapshot, key.text, part)
    headers = [key for key in lookup_keys if isinstance(key, HasHeader)]
    return replace(data, found=found | await _match_header_keys(conversation, headers, positions))


async def _match_header_keys(
    conversation: Conversation, keys: Sequence[HasHeader], positions: Positions
) -> dict[Lookup, Collection[Uid]]:
    """The UIDs of the messages that each key matches. Each header is parsed once for all keys."""
    found: dict[Lookup, set[Uid]] = {key: set() for key in keys}
    all_entries = conversation.selected.entries
    requested = (all_entries[position] for position in positions) if keys else ()
    for entries in batches(requested, attrgetter("size"), HEADERS_BATCH_MESSAGES, HEADERS_BATCH_OCTETS):
        ids = [entry.message_id for entry in entries]
        headers = await conversation.context.store.headers(conversation.account, ids)
        steps = sum(map(len, filter(None, headers))) // OCTETS_PER_STEP
        matched = await conversation.context.compute(steps, partial(_match_headers, keys, headers))
        for entry, matching in zip(entries, matched, strict=True):
            for key in matching:
                found[key].add(entry.uid)
    return {**found}


def _match_headers(keys: Sequence[HasHeader], headers: Sequence[bytes | None]) -> list[list[HasHeader]]:
    return [matching_fields(keys, header or b"") for header in headers]


def matching_fields(keys: Iterable[HasHeader], header: bytes) -> list[HasHeader]:
    """The keys that match a field of this header."""
    texts: dict[bytes, list[str]] = {key.name.encode(): [] for key in keys}
    for field in header_fields(header, 0, len(header)):
        if (name := field.name.upper()) in texts:
            texts[name].extend(_texts(field.value))
    return [key for key in keys if any(fold(key.text) in text for text in texts[key.name.encode()])]


def _texts(value: bytes) -> tuple[str, str]:
    """Decoded and raw, because a value is decoded only up to a limit and References may be longer."""
    return fold(decode_header(value)), fold(unfold(value).decode(errors="replace"))
