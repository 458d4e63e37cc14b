"""THREAD and UID THREAD (RFC 5256 §3): what SEARCH finds, as conversations."""

from collections.abc import Callable, Mapping

from relate_imap.answers import Answer, Refused, ok
from relate_imap.commands import Thread
from relate_imap.conversation import Conversation
from relate_imap.finding import find, summaries_of
from relate_imap.threads import Messages, Node, by_references, by_subject, encode_threads

ALGORITHMS: Mapping[str, Callable[[Messages], list[Node]]] = {
    "ORDEREDSUBJECT": by_subject,
    "REFERENCES": by_references,
}


async def on_thread(conversation: Conversation, command: Thread) -> Answer:
    """Each thread in parentheses, the oldest first."""
    algorithm = ALGORITHMS.get(command.algorithm)
    if algorithm is None:
        raise Refused("There is no such threading algorithm", bad=True)
    places = await find(conversation, command.key)
    entries = conversation.selected.entries
    roots = algorithm(Messages(places, entries, await summaries_of(conversation) if places else ()))
    by_uid = command.verb == "UID THREAD"
    threads = encode_threads(roots, lambda place: entries[place].uid if by_uid else place + 1)
    return ok("Thread completed", untagged=f"* {' '.join(['THREAD', threads]).rstrip()}\r\n".encode())
