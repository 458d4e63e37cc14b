"""What has gone from a mailbox since a client looked last: VANISHED (EARLIER) (RFC 7162 §3.2.5-6)."""

from collections.abc import Iterator, Sequence

from relate_imap.conversation import Conversation
from relate_imap.selected import View
from relate_imap.sequences import STAR, SequenceSet, make_set, resolve

ALL = make_set([(1, STAR)])


async def vanished_since(conversation: Conversation, modseq: int, among: SequenceSet | None = None) -> Sequence[int]:
    """UIDs, ascending, of what was removed after `modseq`; only those `among` these, if any are named.

    Where that is too long ago to be known, all that are not there: the client may be told more than it had.
    """
    view = conversation.selected
    mailbox = view.snapshot.mailbox
    vanished = await conversation.context.store.vanished(conversation.account, mailbox.id, modseq)
    if vanished is None:
        return list(_missing(view, among or ALL))
    return vanished if among is None else [uid for uid in vanished if uid in among]


def _missing(view: View, among: SequenceSet) -> Iterator[int]:
    there = {entry.uid for entry in view.entries}
    for first, last in resolve(among, view.snapshot.mailbox.uid_next - 1):
        yield from (uid for uid in range(first, last + 1) if uid not in there)
