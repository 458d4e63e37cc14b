"""SORT and UID SORT (RFC 5256 §3): what SEARCH finds, in another order, and in its forms of an answer (RFC 5267 §3)."""

from functools import partial

from relate_imap.commands import Sort
from relate_imap.conversation import Conversation
from relate_imap.handlers.search import answer_of
from relate_imap.replies import Answer
from relate_imap.search.run import find, summaries_of, without_expunged
from relate_imap.search.sort import needs_summaries, order
from relate_mailstore.summary_text import EMPTY_SUMMARY

STEPS_EACH = 30
"""Of a message and a criterion."""


async def on_sort(conversation: Conversation, command: Sort) -> Answer:
    """What is equal stays in the order of the mailbox."""
    found = await find(conversation, command.key)
    entries, context = conversation.selected.entries, conversation.context
    if needs_summaries(command.criteria) and found.places:
        summaries = await summaries_of(conversation)
        found = await without_expunged(conversation, found, found.places)
    else:
        summaries = [EMPTY_SUMMARY] * len(entries)
    steps = len(found.places) * len(command.criteria) * STEPS_EACH
    ordered = await context.work(steps, partial(order, found.places, command.criteria, entries, summaries))
    return found.completed("Sort completed", answer_of(conversation, command, ordered, command.returning, "SORT"))
