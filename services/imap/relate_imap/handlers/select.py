"""SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 §6.3.2-3, §6.4.1-2), with quick resynchronization (RFC 7162 §3.2.5)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from relate_imap import responses
from relate_imap.commands import NoArguments, QresyncParameter, Select
from relate_imap.conversation import Conversation, Extension
from relate_imap.grammar import mailbox_names
from relate_imap.handlers.list_status import mailbox_id
from relate_imap.replies import Refused, TaggedResponse, from_error, ok
from relate_imap.selected.flags import DELETED
from relate_imap.selected.mailbox import SelectedMailbox
from relate_imap.selected.recent import UidRange
from relate_imap.selected.vanished import vanished_since
from relate_mailstore.errors import MailboxNotFound, StoreError
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.types import Snapshot


async def on_select(conversation: Conversation, command: Select) -> TaggedResponse:
    """SELECT and EXAMINE. The previous mailbox is deselected even if this one cannot be opened."""
    if command.qresync and Extension.QRESYNC not in conversation.enabled:
        raise Refused("QRESYNC was not enabled", bad=True)
    closed = await leave(conversation)
    try:
        selected, recent = await _open(conversation, command)
    except MailboxNotFound as error:
        return replace(from_error(error), untagged=closed)
    if command.condstore or command.qresync:
        conversation.enabled.add(Extension.CONDSTORE)
    conversation.select(selected)
    conversation.claim_recent(recent, saved=True)
    resynced = await _resynchronize(conversation, selected, command.qresync) if command.qresync else b""
    code = "READ-ONLY" if selected.read_only else "READ-WRITE"
    return ok("Selected", code, closed + b"".join(_select_responses(conversation, selected)) + resynced)


async def on_close(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """Expunge the \\Deleted messages without EXPUNGE responses (RFC 9051 §6.4.1)."""
    store, selected = conversation.context.store, conversation.selected
    if not selected.read_only:
        snapshot = await store.refresh(selected.snapshot)
        deleted = snapshot.entries.uids_with_flag(DELETED)
        if deleted:
            await store.expunge(conversation.account, snapshot.mailbox.id, deleted)
    await leave(conversation)
    return ok("Closed")


async def on_unselect(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """RFC 3691: nothing is expunged."""
    await leave(conversation)
    return ok("Unselected")


async def leave(conversation: Conversation) -> bytes:
    """Deselect the mailbox; returns * OK [CLOSED] if there was one (RFC 7162 §3.2.11)."""
    selected = conversation.selected_mailbox
    if selected is None:
        return b""
    try:
        await _save_recent(conversation, selected)
    finally:
        conversation.deselect()
    return b"* OK [CLOSED] Previous mailbox is closed\r\n"


async def _save_recent(conversation: Conversation, selected: SelectedMailbox) -> None:
    """Save the claimed \\Recent messages. If the store fails, they are \\Recent once more, which is harmless."""
    if selected.unsaved_recent_stop:
        mailbox = selected.snapshot.mailbox
        with suppress(StoreError):
            await conversation.context.store.take_recent(conversation.account, mailbox.id, selected.unsaved_recent_stop)


async def _open(conversation: Conversation, command: Select) -> tuple[SelectedMailbox, UidRange]:
    """The opened mailbox, and its \\Recent messages."""
    context, account = conversation.context, conversation.account
    read_only = command.verb == "EXAMINE"
    with context.select_span(command.mailbox, read_only) as span:
        snapshot = await context.store.snapshot(account, command.mailbox)
        span.set_message_count(len(snapshot.entries))
        recent = await _recent(conversation, snapshot, read_only)
    return SelectedMailbox(snapshot, read_only=read_only), recent


async def _recent(conversation: Conversation, snapshot: Snapshot, read_only: bool) -> UidRange:
    """Claim the \\Recent messages in the store. EXAMINE leaves them to the next session (RFC 3501 §6.3.2)."""
    mailbox = snapshot.mailbox
    if (
        not conversation.sends_recent or mailbox.first_recent_uid == mailbox.uid_next
    ):  # no message arrived since the last claim
        return UidRange(mailbox.uid_next, mailbox.uid_next)
    until = NO_UID if read_only else mailbox.uid_next
    first = await conversation.context.store.take_recent(conversation.account, mailbox.id, until)
    return UidRange(min(first, mailbox.uid_next), mailbox.uid_next)


def _select_responses(conversation: Conversation, selected: SelectedMailbox) -> Iterator[bytes]:
    """The responses that RFC 9051 §6.3.2 requires, or RFC 3501 without IMAP4rev2."""
    snapshot, mailbox = selected.snapshot, selected.snapshot.mailbox
    yield responses.flags(selected)
    yield responses.exists(len(snapshot.entries))
    if conversation.sends_recent:
        yield b"* %d RECENT\r\n" % selected.recent_count
        if snapshot.first_unseen:
            yield b"* OK [UNSEEN %d] First unseen\r\n" % snapshot.first_unseen
    else:
        name = mailbox_names.encode_mailbox(mailbox.name, utf8=conversation.utf8)
        yield b'* LIST () "/" %b\r\n' % name
    yield b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % mailbox.uid_validity
    yield b"* OK [UIDNEXT %d] Predicted next UID\r\n" % mailbox.uid_next
    yield b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % mailbox.highest_modseq
    yield b"* OK [MAILBOXID (%b)] Ok\r\n" % mailbox_id(mailbox)


async def _resynchronize(conversation: Conversation, selected: SelectedMailbox, parameter: QresyncParameter) -> bytes:
    """VANISHED (EARLIER) and FETCH responses since the client's last synchronization (RFC 7162 §3.2.5.1-2)."""
    mailbox = selected.snapshot.mailbox
    if parameter.uid_validity != mailbox.uid_validity:
        return b""
    expunged = await vanished_since(conversation, parameter.modseq, parameter.known_uids)
    fetches = (
        responses.flags_changed(conversation, number, entry, uid=True)
        for number, entry in selected.changed_since(parameter.modseq)
        if parameter.known_uids is None or parameter.known_uids.includes(entry.uid)
    )
    return responses.vanished(expunged, earlier=True) + b"".join(fetches)
