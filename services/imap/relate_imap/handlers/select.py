"""SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 §6.3.2-3, §6.4.1-2), with quick resynchronization (RFC 7162 §3.2.5)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from relate_imap import responses
from relate_imap.commands import Bare, Resync, Select
from relate_imap.conversation import Conversation, Extension
from relate_imap.flags import DELETED
from relate_imap.grammar import mailbox_names
from relate_imap.handlers.list_status import mailbox_id
from relate_imap.replies import Answer, Refused, from_error, ok
from relate_imap.selected.mailbox import View
from relate_imap.selected.recent import Uids
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.errors import MailboxNotFound, StoreError
from relate_mailstore.types import Snapshot


async def on_select(conversation: Conversation, command: Select) -> Answer:
    """SELECT and EXAMINE. Whatever was selected is not any more, even if this one fails."""
    if command.resync and Extension.QRESYNC not in conversation.enabled:
        raise Refused("QRESYNC was not enabled", bad=True)
    closed = await leave(conversation)
    try:
        view, recent = await _open(conversation, command)
    except MailboxNotFound as error:
        return replace(from_error(error), untagged=closed)
    if command.condstore or command.resync:
        conversation.enabled.add(Extension.CONDSTORE)
    conversation.select(view)
    conversation.note_recent(recent, saved=True)
    resynced = await _resync(conversation, view, command.resync) if command.resync else b""
    code = "READ-ONLY" if view.read_only else "READ-WRITE"
    return ok("Selected", code, closed + b"".join(_describe(conversation, view)) + resynced)


async def on_close(conversation: Conversation, _: Bare) -> Answer:
    """What is marked \\Deleted is removed, and the client is not told which (RFC 9051 §6.4.1)."""
    store, view = conversation.context.store, conversation.selected
    if not view.read_only:
        snapshot = await store.refresh(view.snapshot)
        marked = [entry.uid for entry in snapshot.entries if entry.flags & DELETED]
        if marked:
            await store.expunge(conversation.account, snapshot.mailbox.id, marked)
    await leave(conversation)
    return ok("Closed")


async def on_unselect(conversation: Conversation, _: Bare) -> Answer:
    """RFC 3691: nothing is removed."""
    await leave(conversation)
    return ok("Unselected")


async def leave(conversation: Conversation) -> bytes:
    """No mailbox is selected any more; what to say about that, if there was one (RFC 7162 §3.2.11)."""
    view = conversation.view
    if view is None:
        return b""
    try:
        await _save_recent(conversation, view)
    finally:
        conversation.deselect()
    return b"* OK [CLOSED] Previous mailbox is closed\r\n"


async def _save_recent(conversation: Conversation, view: View) -> None:
    """Tell the store which messages were \\Recent here. Where it can't be told they are so once more, and no worse."""
    if view.unsaved_recent:
        mailbox = view.snapshot.mailbox
        with suppress(StoreError):
            await conversation.context.store.take_recent(conversation.account, mailbox.id, view.unsaved_recent)


async def _open(conversation: Conversation, command: Select) -> tuple[View, Uids]:
    """The mailbox, and what is \\Recent in it."""
    context, account = conversation.context, conversation.account
    read_only = command.verb == "EXAMINE"
    with context.selecting(command.mailbox, read_only) as seen:
        snapshot = await context.store.snapshot(account, command.mailbox)
        seen.found(len(snapshot.entries))
        recent = await _recent(conversation, snapshot, read_only)
    return View(snapshot, read_only=read_only), recent


async def _recent(conversation: Conversation, snapshot: Snapshot, read_only: bool) -> Uids:
    """What is \\Recent, and taken now. EXAMINE leaves it so for the next one (RFC 3501 §6.3.2)."""
    mailbox = snapshot.mailbox
    # nothing arrived since the last one
    if not conversation.tells_recent or mailbox.first_recent_uid == mailbox.uid_next:
        return Uids(mailbox.uid_next, mailbox.uid_next)
    until = 0 if read_only else mailbox.uid_next
    first = await conversation.context.store.take_recent(conversation.account, mailbox.id, until)
    return Uids(min(first, mailbox.uid_next), mailbox.uid_next)


def _describe(conversation: Conversation, view: View) -> Iterator[bytes]:
    """What RFC 9051 §6.3.2 requires, and for who knows RFC 3501 only what that does."""
    snapshot, mailbox = view.snapshot, view.snapshot.mailbox
    yield responses.flags(view)
    yield responses.exists(len(snapshot.entries))
    if conversation.tells_recent:
        yield b"* %d RECENT\r\n" % view.recent
        if snapshot.first_unseen:
            yield b"* OK [UNSEEN %d] First unseen\r\n" % snapshot.first_unseen
    else:
        name = mailbox_names.encode_mailbox(mailbox.name, utf8=conversation.utf8)
        yield b'* LIST () "/" %b\r\n' % name
    yield b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % mailbox.uid_validity
    yield b"* OK [UIDNEXT %d] Predicted next UID\r\n" % mailbox.uid_next
    yield b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % mailbox.highest_modseq
    yield b"* OK [MAILBOXID (%b)] Ok\r\n" % mailbox_id(mailbox)


async def _resync(conversation: Conversation, view: View, known: Resync) -> bytes:
    """What has vanished and what has changed since the client looked last (RFC 7162 §3.2.5.1-2)."""
    mailbox = view.snapshot.mailbox
    if known.uid_validity != mailbox.uid_validity:
        return b""
    gone = await vanished_since(conversation, known.modseq, known.known_uids)
    changed = [entry for entry in view.entries if entry.modseq > known.modseq]
    fetches = (
        responses.flags_changed(conversation, view, number, entry, uid=True)
        for number, entry in view.numbered_entries(changed)
        if known.known_uids is None or entry.uid in known.known_uids
    )
    return responses.vanished(gone, earlier=True) + b"".join(fetches)
