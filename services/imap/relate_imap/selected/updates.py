"""What has changed in the selected mailbox since the client was told last, by whomever: the end of every command, and
all that IDLE waits for (RFC 9051 §7)."""

from relate_imap import responses
from relate_imap.conversation import Conversation
from relate_imap.selected.recent import UidRange
from relate_mailstore.errors import MailboxNotFound, StoreError

# RFC 9051 §7.5.1, RFC 5256 §3: while their numbers are on the way no message may be said to be gone.
NO_EXPUNGE_DURING = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD"})

# They tell of the mailbox themselves: whatever else came with that would confuse a client that has only just begun.
NO_UPDATES_AFTER = frozenset({"SELECT", "EXAMINE"})

CLOSED = b"* OK [CLOSED] The mailbox was deleted\r\n"


async def pending_updates(conversation: Conversation, verb: str) -> bytes:
    """The untagged responses that are due after a command with this verb."""
    selected = conversation.selected_mailbox
    if selected is None or verb in NO_UPDATES_AFTER:
        return b""
    try:
        snapshot = await conversation.context.store.refresh(selected.snapshot)
    except MailboxNotFound:
        conversation.deselect()
        return CLOSED
    except StoreError:
        return b""  # it will be told another time: what the client asked for has been done
    if selected.is_current(snapshot):
        return b""
    first_new = selected.snapshot.mailbox.uid_next
    update = selected.advance(snapshot, may_expunge=verb not in NO_EXPUNGE_DURING)
    if update.arrived:
        conversation.claim_recent(UidRange(first_new, snapshot.mailbox.uid_next), saved=False)
    return responses.update(conversation, selected, update, uid=verb.startswith("UID "))
