"""UIDs that were expunged since the client last synchronized: VANISHED (EARLIER) (RFC 7162 §3.2.5-6)."""

from collections.abc import Iterator, Sequence

from relate_imap.conversation import Conversation
from relate_imap.selected.mailbox import SelectedMailbox
from relate_imap.selected.sequence_set import STAR, Range, SequenceSet, make_set, ranges_of, resolve
from relate_mailstore.types import ModSeq, Uid

ALL = make_set([(1, STAR)])


async def vanished_since(
    conversation: Conversation, modseq: ModSeq, among: SequenceSet | None = None
) -> Sequence[Range]:
    """Ranges of UIDs, ascending, that were expunged after `modseq`; only those in `among`, if given.

    If the store no longer has that history, all UIDs without a message: possibly more than the client had.
    """
    selected = conversation.selected
    mailbox = selected.snapshot.mailbox
    vanished = await conversation.context.store.vanished(conversation.account, mailbox.id, modseq)
    if vanished is None:
        return list(_missing(selected, among or ALL))
    return list(ranges_of(uid for uid in vanished if among is None or among.includes(uid)))


def _missing(selected: SelectedMailbox, among: SequenceSet) -> Iterator[Range]:
    """The gaps between messages: there may be millions of missing UIDs, but never more gaps than messages."""
    for first, last in resolve(among, Uid(selected.snapshot.mailbox.uid_next - 1)):
        expected: int = first
        for uid in selected.uids_between(first, last):
            if uid > expected:
                yield expected, uid - 1
            expected = uid + 1
        if expected <= last:
            yield expected, last
