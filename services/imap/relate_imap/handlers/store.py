"""STORE and UID STORE (RFC 9051 §6.4.6), conditional too (RFC 7162 §3.1.3)."""

from collections.abc import Iterable, Sequence

from relate_imap import responses
from relate_imap.commands import Store
from relate_imap.conversation import Conversation, Extension
from relate_imap.flags import change_of, spelled
from relate_imap.replies import Answer, ok
from relate_imap.selected.mailbox import Numbered
from relate_imap.selected.sequence_set import encode_set
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.types import Entry, FlagChange


async def on_store(conversation: Conversation, command: Store) -> Answer:
    """Flags as they are afterwards, of every message that the client named; only modseqs, if it says SILENT.

    What another session has changed as well is told in spite of SILENT: as news, with what else has changed.
    """
    view = conversation.writable
    if command.unchanged_since is not None:
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    by_uid = command.verb.startswith("UID ")
    picked = conversation.pick(command.numbers, uid=by_uid)
    if not picked:
        return ok("There was nothing to change")
    uids = [entry.uid for _, entry in picked]
    change = change_of(command.mode, spelled(command.flags, view.snapshot))
    flagged = await conversation.context.store.set_flags(
        conversation.account, view.snapshot.mailbox.id, uids, change, command.unchanged_since
    )
    left = frozenset(flagged.modified)
    changed = [entry for entry in flagged.entries if entry.uid not in left]
    if command.silent:
        changed = _as_expected(picked, change, changed)
    view.tell(changed)
    untagged = responses.new_keywords(view, flagged.entries)
    if not command.silent or conversation.tells_modseq:
        untagged += _tell(conversation, command, changed)
    if not left:
        return ok("Stored", untagged=untagged)
    numbers = [entry.uid if by_uid else number for number, entry in picked if entry.uid in left]
    return ok("Some had changed meanwhile", f"MODIFIED {encode_set(numbers)}", untagged)


def _tell(conversation: Conversation, command: Store, entries: Iterable[Entry]) -> bytes:
    view, by_uid = conversation.selected, command.verb.startswith("UID ")
    return b"".join(
        responses.flags_changed(conversation, view, number, entry, uid=by_uid, silent=command.silent)
        for number, entry in view.numbered_entries(entries)
    )


def _as_expected(picked: Sequence[Numbered], change: FlagChange, entries: Iterable[Entry]) -> list[Entry]:
    """Those that are as a client takes them to be which knows them as they were picked and hears nothing."""
    known = {entry.uid: entry for _, entry in picked}
    return [entry for entry in entries if change_entry(known[entry.uid], change, entry.modseq) == entry]
