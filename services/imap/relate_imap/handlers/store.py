"""STORE and UID STORE (RFC 9051 §6.4.6), conditional too (RFC 7162 §3.1.3)."""

from collections.abc import Iterable, Sequence

from relate_imap import responses
from relate_imap.commands import Store
from relate_imap.conversation import Conversation, Extension
from relate_imap.replies import TaggedResponse, ok
from relate_imap.selected.flags import change_of, in_mailbox_spelling
from relate_imap.selected.mailbox import NumberedEntry
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.types import Entry, FlagChange


async def on_store(conversation: Conversation, command: Store) -> TaggedResponse:
    """The new flags of each message; with .SILENT only modification sequences.

    Flags that another session changed too are sent in spite of .SILENT, as pending updates.
    """
    selected = conversation.writable
    if command.unchanged_since is not None:
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    by_uid = command.verb.startswith("UID ")
    messages = conversation.messages_in(command.sequence_set, uid=by_uid)
    if not messages:
        return ok("No messages found")
    change = change_of(command.mode, in_mailbox_spelling(command.flags, selected.snapshot))
    flagged = await conversation.context.store.set_flags(
        conversation.account, selected.snapshot.mailbox.id, messages.uids, change, command.unchanged_since
    )
    failed = frozenset(flagged.modified)
    changed = [entry for entry in flagged.entries if entry.uid not in failed]
    if command.silent:
        changed = _predictable_entries(messages, change, changed)
    selected.mark_announced(changed)
    untagged = responses.new_keywords(selected, flagged.entries)
    if not command.silent or conversation.sends_modseq:
        untagged += _fetch_responses(conversation, command, changed)
    if not failed:
        return ok("Stored", untagged=untagged)
    numbers = [entry.uid if by_uid else number for number, entry in messages if entry.uid in failed]
    return ok("Conditional STORE failed", f"MODIFIED {encode_set(numbers)}", untagged)


def _fetch_responses(conversation: Conversation, command: Store, entries: Iterable[Entry]) -> bytes:
    selected, by_uid = conversation.selected, command.verb.startswith("UID ")
    return b"".join(
        responses.flags_changed(conversation, number, entry, uid=by_uid, silent=command.silent)
        for number, entry in selected.number_entries(entries)
    )


def _predictable_entries(
    messages: Sequence[NumberedEntry], change: FlagChange, entries: Iterable[Entry]
) -> list[Entry]:
    """The entries whose new flags the client can predict: a .SILENT client needs no FETCH responses for them."""
    before = {entry.uid: entry for _, entry in messages}
    return [entry for entry in entries if change_entry(before[entry.uid], change, entry.modseq) == entry]
