"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9): delete the messages that are marked \\Deleted."""

from relate_imap.commands import NoArguments, UidExpunge
from relate_imap.conversation import Conversation
from relate_imap.replies import TaggedResponse, ok
from relate_imap.selected.flags import DELETED
from relate_mailstore.types import Uid


async def on_expunge(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """Expunge all of them, including those that another session has marked since."""
    return await _expunge(conversation)


async def on_uid_expunge(conversation: Conversation, command: UidExpunge) -> TaggedResponse:
    """Expunge those with the given UIDs."""
    messages = conversation.messages_in(command.sequence_set, uid=True)
    return await _expunge(conversation, set(messages.uids))


async def _expunge(conversation: Conversation, among: set[Uid] | None = None) -> TaggedResponse:
    """Expunge, among these UIDs if given. The session sends the EXPUNGE responses."""
    store, selected = conversation.context.store, conversation.writable
    snapshot = await store.refresh(selected.snapshot)
    deleted = snapshot.entries.uids_with_flag(DELETED)
    uids = deleted if among is None else [uid for uid in deleted if uid in among]
    if not uids:
        return ok("No messages to expunge")
    await store.expunge(conversation.account, snapshot.mailbox.id, uids)
    if not conversation.sends_modseq:
        return ok("Expunged")
    after = await store.refresh(snapshot)
    return ok("Expunged", f"HIGHESTMODSEQ {after.mailbox.highest_modseq}")  # RFC 7162 §3.2.7
