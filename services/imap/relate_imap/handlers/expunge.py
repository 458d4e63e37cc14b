"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9): what is marked \\Deleted is removed for good."""

from relate_imap.commands import NoArguments, UidExpunge
from relate_imap.conversation import Conversation
from relate_imap.replies import TaggedResponse, ok
from relate_imap.selected.flags import DELETED


async def on_expunge(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """All of them, those too that somebody else has marked meanwhile."""
    return await _expunge(conversation)


async def on_uid_expunge(conversation: Conversation, command: UidExpunge) -> TaggedResponse:
    """Those of them that the client names."""
    picked = conversation.messages_in(command.sequence_set, uid=True)
    return await _expunge(conversation, {entry.uid for _, entry in picked})


async def _expunge(conversation: Conversation, among: set[int] | None = None) -> TaggedResponse:
    """The session tells which are gone."""
    store, selected = conversation.context.store, conversation.writable
    snapshot = await store.refresh(selected.snapshot)
    marked = [entry.uid for entry in snapshot.entries if entry.flags & DELETED]
    uids = marked if among is None else [uid for uid in marked if uid in among]
    if not uids:
        return ok("Nothing was marked as deleted")
    await store.expunge(conversation.account, snapshot.mailbox.id, uids)
    if not conversation.sends_modseq:
        return ok("Expunged")
    after = await store.refresh(snapshot)
    return ok("Expunged", f"HIGHESTMODSEQ {after.mailbox.highest_modseq}")  # RFC 7162 §3.2.7
