"""Carrying out a search, for SEARCH, SORT and THREAD: what the keys have to know is asked of the store, as late and as
little as can be. Only the client's own view is looked at, so that its numbers hold (RFC 9051 §7.5.1)."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from relate_imap.conversation import Conversation, Extension
from relate_imap.matching import Known, Places, match_all
from relate_imap.search_keys import HasHeader, HasText, SearchKey
from relate_imap.tiers import Lookup, Tier, asks_modseq, in_tiers, leaves, lookups, tier_of
from relate_mailstore.folding import fold
from relate_mailstore.mime import decode_header, header_fields
from relate_mailstore.mime.fields import unfold
from relate_mailstore.rules import NO_SUMMARY
from relate_mailstore.types import Summary, TextPart

HEADERS_AT_ONCE = 64
"""Messages whose headers are read together: they fit into memory, be they as long as they may."""


async def find(conversation: Conversation, key: SearchKey) -> Places:
    """The places of the messages that match, ascending; a message's number is its place and one."""
    if asks_modseq(key):
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    view = conversation.selected
    known = Known(view.entries, view.flags, conversation.context.now(), view.first_recent, conversation.saved)
    places: Places = range(len(view.entries))
    for tier, keys in in_tiers(key):
        if places and tier >= Tier.SUMMARY:
            known = await _learn(conversation, known, keys, places)
        places = match_all(keys, known, places)
    return places


async def summaries_of(conversation: Conversation) -> Sequence[Summary]:
    """A summary for each message of the client's view: an empty one for what is gone, and not told yet."""
    view = conversation.selected
    summaries = await conversation.context.store.summaries(view.snapshot)
    if view.is_as_the_snapshot:
        return summaries
    by_uid = {entry.uid: summary for entry, summary in zip(view.snapshot.entries, summaries, strict=True)}
    return [by_uid.get(entry.uid, NO_SUMMARY) for entry in view.entries]


async def _learn(conversation: Conversation, known: Known, keys: Sequence[SearchKey], places: Places) -> Known:
    """What these keys have to know of these messages."""
    if not known.summaries and any(tier_of(leaf) is Tier.SUMMARY for leaf in leaves(keys)):
        known = replace(known, summaries=await summaries_of(conversation))
    return replace(known, found={key: await _look_up(conversation, key, places) for key in lookups(keys)})


async def _look_up(conversation: Conversation, key: Lookup, places: Places) -> Collection[int]:
    """The UIDs of the messages that a key matches; of others, too, where that costs nothing."""
    if isinstance(key, HasText):
        part = TextPart.BODY if key.body_only else TextPart.ANYWHERE
        return await conversation.context.store.containing(conversation.selected.snapshot, key.text, part)
    found: set[int] = set()
    for start in range(0, len(places), HEADERS_AT_ONCE):
        found |= await _look_into_headers(conversation, key, places[start : start + HEADERS_AT_ONCE])
    return found


async def _look_into_headers(conversation: Conversation, key: HasHeader, places: Places) -> set[int]:
    entries = [conversation.selected.entries[place] for place in places]
    ids = [entry.message_id for entry in entries]
    headers = await conversation.context.store.headers(conversation.account, ids)
    return {entry.uid for entry, header in zip(entries, headers, strict=True) if _has_field(key, header or b"")}


def _has_field(key: HasHeader, header: bytes) -> bool:
    name, text = key.name.encode(), fold(key.text)
    fields = header_fields(header, 0, len(header))
    return any(field.name.upper() == name and _has_text(text, field.value) for field in fields)


def _has_text(folded: str, value: bytes) -> bool:
    """Decoded, and as it came: only so much is decoded of one value, and References may be longer."""
    return folded in fold(decode_header(value)) or folded in fold(unfold(value).decode(errors="replace"))
