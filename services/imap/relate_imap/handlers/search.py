"""SEARCH and UID SEARCH (RFC 9051 §6.4.4), with the results of RFC 4731, RFC 5182, RFC 7162 and RFC 9394."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from relate_imap.commands import Search, Sort
from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import TaggedResponse
from relate_imap.search.cost import uses_modseq
from relate_imap.search.match import Positions
from relate_imap.search.partial import page
from relate_imap.search.run import SearchResult, run_search
from relate_imap.selected.sequence_set import encode_list, encode_set
from relate_mailstore.errors import StoreError
from relate_mailstore.types import ModSeq, Uid

NUMBERS_PER_STEP = 2
"""Numbers of a response that are encoded in the time of one step (`context.MAX_INLINE_STEPS`)."""


async def on_search(conversation: Conversation, command: Search) -> TaggedResponse:
    """Untagged SEARCH, unless the client has requested ESEARCH or enabled IMAP4rev2."""
    result = await _search(conversation, command)
    returning = command.returning
    if returning is None and Extension.REV2 in conversation.enabled:  # RFC 9051 §6.4.4
        returning = frozenset({"ALL"})
    respond = partial(search_response, conversation, command, result.positions, returning, "SEARCH")
    untagged = await conversation.context.compute(len(result.positions) // NUMBERS_PER_STEP, respond)
    return result.completed("Search completed", untagged)


def search_response(
    conversation: Conversation,
    command: Search | Sort,
    positions: Positions,
    returning: frozenset[str] | None,
    kind: str,
) -> bytes:
    """The untagged response of a search, `positions` in its order. Saves the result for SAVE."""
    by_uid = command.verb.startswith("UID ")
    if returning is None:
        modseq = modseq_of(conversation, positions) if uses_modseq(command.key) else None
        return _encode_numbers(kind, numbers_of(conversation, positions, uid=by_uid), modseq)
    if "SAVE" in returning:
        saved = _returned(command, returning, positions)
        conversation.saved_uids = tuple(sorted(_uids_of(conversation, saved)))
    return b"" if returning == {"SAVE"} else _esearch(conversation, command, returning, positions)


def numbers_of(conversation: Conversation, positions: Positions, *, uid: bool) -> Sequence[int]:
    """Positions as message numbers or UIDs; as a range, if that is known without a look at each."""
    if uid:
        return _uids_of(conversation, positions)
    if isinstance(positions, range):
        return range(positions.start + 1, positions.stop + 1)
    return [position + 1 for position in positions]


def _uids_of(conversation: Conversation, positions: Positions) -> Sequence[Uid]:
    uids: Sequence[Uid] = conversation.selected.entries.column("uid")
    if not isinstance(positions, range):
        return [uids[position] for position in positions]
    chosen = uids[positions.start : positions.stop]
    is_run = bool(chosen) and chosen[-1] - chosen[0] == len(chosen) - 1  # they ascend
    return cast("Sequence[Uid]", range(chosen[0], chosen[-1] + 1)) if is_run else chosen


def modseq_of(conversation: Conversation, positions: Positions) -> ModSeq | None:
    """The highest modification sequence of these messages; None for none."""
    modseqs = conversation.selected.entries.column("modseq")
    return max((modseqs[position] for position in positions), default=None)


def _encode_numbers(kind: str, numbers: Sequence[int], modseq: ModSeq | None) -> bytes:
    """`* SEARCH 2 5 (MODSEQ 917162500)`, `* SORT 5 2` (RFC 7162 §3.1.5)."""
    suffix = f" (MODSEQ {modseq})" if modseq is not None else ""
    return f"* {kind}{encode_list(numbers)}{suffix}\r\n".encode()


async def _search(conversation: Conversation, command: Search) -> SearchResult:
    """A search with SAVE that fails leaves an empty saved result (RFC 5182 §2.1)."""
    try:
        return await run_search(conversation, command.key)
    except StoreError:
        if command.returning and "SAVE" in command.returning:
            conversation.saved_uids = ()
        raise


def _returned(command: Search | Sort, returning: frozenset[str], positions: Positions) -> Positions:
    """The messages that SAVE saves and whose modification sequence is returned.

    All of them, unless only MIN, MAX or PARTIAL are requested (RFC 4731 §3.2, RFC 5182 §2.4, RFC 9394 §3.2).
    """
    if returning & {"ALL", "COUNT"} or not returning & {"MIN", "MAX", "PARTIAL"}:
        return positions
    returned = set(page(positions, command.partial) if command.partial else ())
    if "MIN" in returning:
        returned |= {*positions[:1]}
    if "MAX" in returning:
        returned |= {*positions[-1:]}
    return sorted(returned)


def _esearch(
    conversation: Conversation, command: Search | Sort, returning: frozenset[str], positions: Positions
) -> bytes:
    """RFC 4731 §3.1: for an empty result only COUNT is returned, and PARTIAL with NIL.

    In a SORT, MIN is the first and MAX the last message of its order (RFC 5267 §3.1).
    """
    uid = command.verb.startswith("UID ")
    items = [f'* ESEARCH (TAG "{command.tag}")', *(["UID"] if uid else [])]
    for name, found in (("MIN", positions[:1]), ("MAX", positions[-1:]), ("ALL", positions)):
        if name in returning and found:
            items.append(f"{name} {encode_set(numbers_of(conversation, found, uid=uid))}")
    if "COUNT" in returning:
        items.append(f"COUNT {len(positions)}")
    if command.partial is not None:
        first, last = command.partial
        numbers = numbers_of(conversation, page(positions, command.partial), uid=uid)
        items.append(f"PARTIAL ({first}:{last} {encode_set(numbers) or 'NIL'})")
    modseq = modseq_of(conversation, _returned(command, returning, positions)) if uses_modseq(command.key) else None
    if modseq is not None:
        items.append(f"MODSEQ {modseq}")
    return f"{' '.join(items)}\r\n".encode()
