"""Carrying out a search, for SEARCH, SORT and THREAD: what the keys have to know is asked of the store, as late and as
little as can be. Only the client's own view is looked at, so that its numbers hold (RFC 9051 §7.5.1)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import Answer, Refused, ok
from relate_imap.search.cost import Lookup, Tier, asks_modseq, in_tiers, leaves, lookups, tier_of
from relate_imap.search.keys import HasHeader, HasText, SearchKey
from relate_imap.search.match import Known, Places, match_all
from relate_imap.search.partial import HEADERS_OCTETS, portions
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.folding import fold
from relate_mailstore.mime import decode_header, header_fields
from relate_mailstore.mime.fields import unfold
from relate_mailstore.summary_text import EMPTY_SUMMARY
from relate_mailstore.types import Summary, TextPart

HEADERS_AT_ONCE = 64
"""Messages whose headers are read together."""

MAX_LOOKUPS = 100
"""Of one search: texts, and fields that no summary has. For each of them the messages themselves are looked through."""

OCTETS_A_STEP = 20
"""Of a header, while its fields are looked for."""


class Found(NamedTuple):
    """The places of messages that match, ascending; a message's number is its place and one.

    `expunged`: some messages had to be left out, as another session has expunged them and this one does not know yet.
    """

    places: Places
    expunged: bool = False

    def completed(self, text: str, untagged: bytes) -> Answer:
        """How the command ended; what was left out is said (RFC 5530 §3, RFC 2180 §4.1)."""
        if self.expunged:
            return ok("Some messages were already expunged", "EXPUNGEISSUED", untagged)
        return ok(text, untagged=untagged)


async def find(conversation: Conversation, key: SearchKey) -> Found:
    """The messages that match. Raises Refused for too much at once."""
    if len([*lookups([key])]) > MAX_LOOKUPS:
        raise Refused("Too many texts to look for", "LIMIT")
    if asks_modseq(key):
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    view, context = conversation.selected, conversation.context
    known = Known(view.entries, view.flags, context.now(), conversation.recent_uids, conversation.saved)
    places: Places = range(len(view.entries))
    looked_into: Places = ()
    for tier, keys in in_tiers(key):
        if places and tier >= Tier.SUMMARY:
            looked_into = looked_into or places
            known = await _learn(conversation, known, keys, places)
        steps = len(places) * sum(1 for _ in leaves(keys))
        places = await context.work(steps, partial(match_all, keys, known, places))
    return await without_expunged(conversation, Found(places), looked_into)


async def without_expunged(conversation: Conversation, found: Found, looked_into: Places) -> Found:
    """The same without messages that could not be looked into, because they are gone."""
    gone = await _gone(conversation) if looked_into else ()
    entries = conversation.selected.entries
    if not gone or not any(entries[place].uid in gone for place in looked_into):
        return found
    return Found([place for place in found.places if entries[place].uid not in gone], expunged=True)


async def _gone(conversation: Conversation) -> Collection[int]:
    """UIDs that this client knows, and that are not there any more."""
    view = conversation.selected
    try:
        return view.gone(await conversation.context.store.refresh(view.snapshot))
    except MailboxNotFound:
        return {entry.uid for entry in view.entries}


async def summaries_of(conversation: Conversation) -> Sequence[Summary]:
    """A summary for each message of the client's view: an empty one for what is gone, and not told yet."""
    view = conversation.selected
    summaries = await conversation.context.store.summaries(view.snapshot)
    if view.is_as_the_snapshot:
        return summaries
    by_uid = {entry.uid: summary for entry, summary in zip(view.snapshot.entries, summaries, strict=True)}
    return [by_uid.get(entry.uid, EMPTY_SUMMARY) for entry in view.entries]


async def _learn(conversation: Conversation, known: Known, keys: Sequence[SearchKey], places: Places) -> Known:
    """What these keys have to know of these messages."""
    if not known.summaries and any(tier_of(leaf) is Tier.SUMMARY for leaf in leaves(keys)):
        known = replace(known, summaries=await summaries_of(conversation))
    asked = [*lookups(keys)]
    found: dict[Lookup, Collection[int]] = {}
    for key in asked:
        if isinstance(key, HasText):
            part = TextPart.BODY if key.body_only else TextPart.ANYWHERE
            snapshot = conversation.selected.snapshot
            found[key] = await conversation.context.store.containing(snapshot, key.text, part)
    headers = [key for key in asked if isinstance(key, HasHeader)]
    return replace(known, found=found | await _look_into_headers(conversation, headers, places))


async def _look_into_headers(
    conversation: Conversation, keys: Sequence[HasHeader], places: Places
) -> dict[Lookup, Collection[int]]:
    """The UIDs of the messages that each key matches: each header is read once for all of them."""
    found: dict[Lookup, set[int]] = {key: set() for key in keys}
    all_entries = conversation.selected.entries
    asked = (all_entries[place] for place in places) if keys else ()
    for entries in portions(asked, attrgetter("size"), HEADERS_AT_ONCE, HEADERS_OCTETS):
        ids = [entry.message_id for entry in entries]
        headers = await conversation.context.store.headers(conversation.account, ids)
        steps = sum(map(len, filter(None, headers))) // OCTETS_A_STEP
        matched = await conversation.context.work(steps, partial(_match_headers, keys, headers))
        for entry, those in zip(entries, matched, strict=True):
            for key in those:
                found[key].add(entry.uid)
    return {**found}


def _match_headers(keys: Sequence[HasHeader], headers: Sequence[bytes | None]) -> list[list[HasHeader]]:
    return [matching_fields(keys, header or b"") for header in headers]


def matching_fields(keys: Iterable[HasHeader], header: bytes) -> list[HasHeader]:
    """Those of the keys that match a field of this header."""
    texts: dict[bytes, list[str]] = {key.name.encode(): [] for key in keys}
    for field in header_fields(header, 0, len(header)):
        if (name := field.name.upper()) in texts:
            texts[name].extend(_texts(field.value))
    return [key for key in keys if any(fold(key.text) in text for text in texts[key.name.encode()])]


def _texts(value: bytes) -> tuple[str, str]:
    """Decoded, and as it came: only so much is decoded of one value, and References may be longer."""
    return fold(decode_header(value)), fold(unfold(value).decode(errors="replace"))
