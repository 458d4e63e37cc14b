"""What has changed in the selected mailbox since the client was told last, by whomever: the end of every command, and
all that IDLE waits for (RFC 9051 §7)."""

from relate_imap import responses
from relate_imap.conversation import Conversation
from relate_imap.selected.recent import Uids
from relate_mailstore.errors import MailboxNotFound, StoreError

# RFC 9051 §7.5.1, RFC 5256 §3: while their numbers are on the way no message may be said to be gone.
NUMBERS_IN_USE = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD"})

# They tell of the mailbox themselves: whatever else came with that would confuse a client that has only just begun.
TELL_ALL = frozenset({"SELECT", "EXAMINE"})

CLOSED = b"* OK [CLOSED] The mailbox was deleted\r\n"


async def news(conversation: Conversation, verb: str) -> bytes:
    """The untagged responses that are due after a command with this verb."""
    view = conversation.view
    if view is None or verb in TELL_ALL:
        return b""
    try:
        snapshot = await conversation.context.store.refresh(view.snapshot)
    except MailboxNotFound:
        conversation.deselect()
        return CLOSED
    except StoreError:
        return b""  # it will be told another time: what the client asked for has been done
    if view.has_told(snapshot):
        return b""
    first_new = view.snapshot.mailbox.uid_next
    update = view.advance(snapshot, may_expunge=verb not in NUMBERS_IN_USE)
    if update.arrived:
        conversation.note_recent(Uids(first_new, snapshot.mailbox.uid_next), saved=False)
    return responses.update(conversation, view, update, uid=verb.startswith("UID "))
