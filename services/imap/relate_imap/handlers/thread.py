"""THREAD and UID THREAD (RFC 5256 §3)."""

from collections.abc import Callable, Mapping

from relate_imap.commands import Thread
from relate_imap.conversation import Conversation
from relate_imap.replies import Refused, TaggedResponse
from relate_imap.search.run import run_search, summaries_of, without_expunged
from relate_imap.search.thread import Messages, Node, by_references, by_subject, encode_threads

STEPS_PER_MESSAGE = 200
"""To find its parents, and to sort it among its siblings."""

ALGORITHMS: Mapping[str, Callable[[Messages], list[Node]]] = {
    "ORDEREDSUBJECT": by_subject,
    "REFERENCES": by_references,
}


async def on_thread(conversation: Conversation, command: Thread) -> TaggedResponse:
    """Each thread in parentheses, the oldest first."""
    algorithm = ALGORITHMS.get(command.algorithm)
    if algorithm is None:
        raise Refused("There is no such threading algorithm", bad=True)
    result = await run_search(conversation, command.key)
    entries, by_uid = conversation.selected.entries, command.verb == "UID THREAD"
    summaries = await summaries_of(conversation) if result.positions else ()
    result = await without_expunged(conversation, result, result.positions)

    def thread_messages() -> str:
        roots = algorithm(Messages(result.positions, entries, summaries))
        uids = entries.column("uid")
        return encode_threads(roots, lambda position: uids[position] if by_uid else position + 1)

    threads = await conversation.context.compute(len(result.positions) * STEPS_PER_MESSAGE, thread_messages)
    return result.completed("Thread completed", f"* {' '.join(['THREAD', threads]).rstrip()}\r\n".encode())
