"""What has gone from a mailbox since a client looked last: VANISHED (EARLIER) (RFC 7162 §3.2.5-6)."""

from collections.abc import Iterator, Sequence

from relate_imap.conversation import Conversation
from relate_imap.selected.mailbox import SelectedMailbox
from relate_imap.selected.sequence_set import STAR, Range, SequenceSet, make_set, ranges_of, resolve

ALL = make_set([(1, STAR)])


async def vanished_since(conversation: Conversation, modseq: int, among: SequenceSet | None = None) -> Sequence[Range]:
    """Ranges of UIDs, ascending, of what was removed after `modseq`; only those `among` these, if any are named.

    Where that is too long ago to be known, all that are not there: the client may be told more than it had.
    """
    selected = conversation.selected
    mailbox = selected.snapshot.mailbox
    vanished = await conversation.context.store.vanished(conversation.account, mailbox.id, modseq)
    if vanished is None:
        return list(_missing(selected, among or ALL))
    return list(ranges_of(uid for uid in vanished if among is None or uid in among))


def _missing(selected: SelectedMailbox, among: SequenceSet) -> Iterator[Range]:
    """The gaps between the messages: UIDs there may be millions of, gaps no more than messages."""
    for first, last in resolve(among, selected.snapshot.mailbox.uid_next - 1):
        expected = first
        for uid in selected.uids_between(first, last):
            if uid > expected:
                yield expected, uid - 1
            expected = uid + 1
        if expected <= last:
            yield expected, last
