"""Pending updates of the selected mailbox: changes that its client has not been sent (RFC 9051 §7).

They are sent at the end of every command and during IDLE, whichever session made the change.
"""

from relate_imap import responses
from relate_imap.conversation import Conversation
from relate_imap.selected.recent import UidRange
from relate_mailstore.errors import MailboxNotFound, StoreError

# RFC 9051 §7.5.1, RFC 5256 §3: no EXPUNGE while the client may be using message numbers.
NO_EXPUNGE_DURING = frozenset({"FETCH", "STORE", "SEARCH", "SORT", "THREAD"})

# Their own responses describe the mailbox; updates would confuse a client that has just selected it.
NO_UPDATES_AFTER = frozenset({"SELECT", "EXAMINE"})

CLOSED = b"* OK [CLOSED] The mailbox was deleted\r\n"


async def pending_updates(conversation: Conversation, verb: str) -> bytes:
    """The untagged responses to send after a command with this verb."""
    selected = conversation.selected_mailbox
    if selected is None or verb in NO_UPDATES_AFTER:
        return b""
    try:
        snapshot = await conversation.context.store.refresh(selected.snapshot)
    except MailboxNotFound:
        conversation.deselect()
        return CLOSED
    except StoreError:
        return b""  # sent after a later command, because this one has succeeded
    if selected.is_current(snapshot):
        return b""
    first_new = selected.snapshot.mailbox.uid_next
    update = selected.advance(snapshot, may_expunge=verb not in NO_EXPUNGE_DURING)
    if update.arrived:
        conversation.claim_recent(UidRange(first_new, snapshot.mailbox.uid_next), saved=False)
    return responses.update(conversation, selected, update, uid=verb.startswith("UID "))
