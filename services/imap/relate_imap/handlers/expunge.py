"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9): what is marked \\Deleted is removed for good."""

from relate_imap.commands import Bare, UidExpunge
from relate_imap.conversation import Conversation
from relate_imap.flags import DELETED
from relate_imap.replies import Answer, ok


async def on_expunge(conversation: Conversation, _: Bare) -> Answer:
    """All of them, those too that somebody else has marked meanwhile."""
    return await _expunge(conversation)


async def on_uid_expunge(conversation: Conversation, command: UidExpunge) -> Answer:
    """Those of them that the client names."""
    picked = conversation.pick(command.numbers, uid=True)
    return await _expunge(conversation, {entry.uid for _, entry in picked})


async def _expunge(conversation: Conversation, among: set[int] | None = None) -> Answer:
    """The session tells which are gone."""
    store, view = conversation.context.store, conversation.writable
    snapshot = await store.refresh(view.snapshot)
    marked = [entry.uid for entry in snapshot.entries if entry.flags & DELETED]
    uids = marked if among is None else [uid for uid in marked if uid in among]
    if not uids:
        return ok("Nothing was marked as deleted")
    await store.expunge(conversation.account, snapshot.mailbox.id, uids)
    if not conversation.tells_modseq:
        return ok("Expunged")
    after = await store.refresh(snapshot)
    return ok("Expunged", f"HIGHESTMODSEQ {after.mailbox.highest_modseq}")  # RFC 7162 §3.2.7
