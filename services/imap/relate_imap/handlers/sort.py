"""SORT and UID SORT (RFC 5256 §3), with the results of ESORT (RFC 5267 §3)."""

from functools import partial

from relate_imap.commands import Sort
from relate_imap.conversation import Conversation
from relate_imap.handlers.search import search_response
from relate_imap.replies import TaggedResponse
from relate_imap.search.run import run_search, summaries_of, without_expunged
from relate_imap.search.sort import needs_summaries, order
from relate_mailstore.summary_text import EMPTY_SUMMARY

STEPS_PER_MESSAGE = 30
"""Per message and criterion."""


async def on_sort(conversation: Conversation, command: Sort) -> TaggedResponse:
    """Messages that compare equal keep the order of the mailbox."""
    result = await run_search(conversation, command.key)
    entries, context = conversation.selected.entries, conversation.context
    if needs_summaries(command.criteria) and result.positions:
        summaries = await summaries_of(conversation)
        result = await without_expunged(conversation, result, result.positions)
    else:
        summaries = [EMPTY_SUMMARY] * len(entries)
    steps = len(result.positions) * len(command.criteria) * STEPS_PER_MESSAGE
    ordered = await context.compute(steps, partial(order, result.positions, command.criteria, entries, summaries))
    return result.completed(
        "Sort completed", search_response(conversation, command, ordered, command.returning, "SORT")
    )
