"""SORT and UID SORT (RFC 5256 §3): what SEARCH finds, in another order."""

from relate_imap.answers import Answer, ok
from relate_imap.commands import Sort
from relate_imap.conversation import Conversation
from relate_imap.finding import find, summaries_of
from relate_imap.handlers.search import listing, modseq_of, numbers_of
from relate_imap.ordering import needs_summaries, order
from relate_imap.tiers import asks_modseq
from relate_mailstore.rules import NO_SUMMARY


async def on_sort(conversation: Conversation, command: Sort) -> Answer:
    """What is equal stays in the order of the mailbox."""
    places = await find(conversation, command.key)
    entries = conversation.selected.entries
    needed = needs_summaries(command.criteria) and len(places) > 1
    summaries = await summaries_of(conversation) if needed else [NO_SUMMARY] * len(entries)
    ordered = order(places, command.criteria, entries, summaries)
    modseq = modseq_of(conversation, places) if asks_modseq(command.key) else None
    numbers = numbers_of(conversation, ordered, uid=command.verb == "UID SORT")
    return ok("Sort completed", untagged=listing("SORT", numbers, modseq))
