"""LIST, LSUB, STATUS, NAMESPACE (RFC 9051 §6.3.9-11, RFC 5258, RFC 5819)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress

from relate_imap import responses
from relate_imap.commands import List, NoArguments, Status
from relate_imap.conversation import CachedStatus, Conversation, Extension
from relate_imap.grammar import mailbox_names
from relate_imap.list_patterns import ListEntry, MailboxTree
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_imap.selected.flags import DELETED, SEEN
from relate_imap.selected.recent import UidRange
from relate_mailstore.entry_list import EntryList
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.mailbox_names import DELIMITER
from relate_mailstore.types import Mailbox, Snapshot

# Of all patterns of a LIST together: each is matched against every name of at most 1,000 octets.
MAX_PATTERN_CHARACTERS = 4_000

# STATUS items that are computed from the entries; all others are columns of the mailbox.
COMPUTED_ITEMS = frozenset({"UNSEEN", "DELETED", "DELETED-STORAGE", "RECENT"})

# Per client. Most mail programs poll a handful of mailboxes, and sessions share the entries.
MAX_CACHED_MAILBOXES = 8

_DELIMITER = responses.string(DELIMITER.encode())


async def on_namespace(_: Conversation, __: NoArguments) -> TaggedResponse:
    """RFC 2342: one personal namespace; nothing is shared."""
    return ok("Namespace completed", untagged=b'* NAMESPACE (("" %b)) NIL NIL\r\n' % _DELIMITER)


async def on_list(conversation: Conversation, command: List) -> TaggedResponse:
    """LIST, basic and extended."""
    if "RECURSIVEMATCH" in command.selection and not command.selection & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise Refused("RECURSIVEMATCH needs another selection", bad=True)  # RFC 5258 §3.5
    if command.patterns == ("",) and not command.extended:  # it requests the delimiter (RFC 9051 §6.3.9)
        return ok("List completed", untagged=b'* LIST (\\Noselect) %b ""\r\n' % _DELIMITER)
    patterns = _full_patterns(command)
    entries = await _list_entries(
        conversation, patterns, lambda tree: tree.list(patterns, command.selection, command.returning), b"LIST"
    )
    lines = [line for entry in entries for line in await _responses(conversation, *entry, command.status)]
    return ok("List completed", untagged=b"".join(lines))


async def on_lsub(conversation: Conversation, command: List) -> TaggedResponse:
    """LSUB of RFC 3501."""
    patterns = _full_patterns(command)
    entries = await _list_entries(conversation, patterns, lambda tree: tree.lsub(patterns), b"LSUB")
    return ok("Lsub completed", untagged=b"".join(line for _, line in entries))


async def on_status(conversation: Conversation, command: Status) -> TaggedResponse:
    """STATUS, also of the selected mailbox."""
    return ok("Status completed", untagged=await _status(conversation, command.mailbox, command.items))


async def _list_entries(
    conversation: Conversation,
    patterns: Sequence[str],
    choose: Callable[[MailboxTree], Iterable[ListEntry]],
    kind: bytes,
) -> Sequence[tuple[ListEntry, bytes]]:
    """The names of the account that `choose` selects, each with its response."""
    store, account = conversation.context.store, conversation.account
    mailboxes, subscriptions = await store.mailboxes(account), await store.subscriptions(account)
    octets = sum(len(mailbox.name) for mailbox in mailboxes) + sum(map(len, subscriptions))

    def list_entries() -> list[tuple[ListEntry, bytes]]:
        chosen = choose(MailboxTree(mailboxes, subscriptions))
        return [(entry, _line(conversation, entry, kind)) for entry in chosen]

    return await conversation.context.compute(octets * len(patterns), list_entries)


def _full_patterns(command: List) -> Sequence[str]:
    """Reference and pattern are concatenated. Raises Refused."""
    patterns = [command.reference + pattern for pattern in command.patterns]
    if sum(map(len, patterns)) > MAX_PATTERN_CHARACTERS:
        raise Refused("The patterns are too long", "LIMIT")
    return patterns


async def _responses(
    conversation: Conversation, entry: ListEntry, line: bytes, status: Sequence[str]
) -> Iterable[bytes]:
    if not status or entry.mailbox is None:
        return [line]
    try:
        return [line, await _status(conversation, entry.name, status)]
    except MailboxNotFound:  # deleted since it was listed (RFC 5819 §2)
        return [line]


def _line(conversation: Conversation, entry: ListEntry, kind: bytes) -> bytes:
    name = mailbox_names.encode_mailbox(entry.name, utf8=conversation.utf8)
    children = b' ("CHILDINFO" ("SUBSCRIBED"))' if entry.child_info else b""
    return b"* %b (%b) %b %b%b\r\n" % (kind, " ".join(entry.attributes).encode(), _DELIMITER, name, children)


async def _status(conversation: Conversation, name: str, items: Sequence[str]) -> bytes:
    if COMPUTED_ITEMS & set(items):
        cached = await _cached_status(conversation, name)
    else:
        cached = CachedStatus(
            Snapshot(await conversation.context.store.mailbox(conversation.account, name), EntryList())
        )
    if "HIGHESTMODSEQ" in items:
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    recent = await _recent(conversation, cached.snapshot) if "RECENT" in items else 0
    values = b" ".join(
        b"%b %d" % (item.encode(), recent)
        if item == "RECENT"
        else b"%b %b" % (item.encode(), _value(conversation, cached, item))
        for item in items
    )
    return b"* STATUS %b (%b)\r\n" % (
        mailbox_names.encode_mailbox(cached.snapshot.mailbox.name, utf8=conversation.utf8),
        values,
    )


async def _cached_status(conversation: Conversation, name: str) -> CachedStatus:
    """The mailbox of that name, from the cache if it has not changed: polling costs no query."""
    store, cache = conversation.context.store, conversation.status_cache
    cached = cache.pop(name, None)
    try:
        snapshot = await store.refresh(cached.snapshot) if cached else None
    except MailboxNotFound:
        snapshot = None
    if snapshot is None or snapshot.mailbox.name != name:  # another mailbox may have this name by now
        snapshot = await store.snapshot(conversation.account, name)
    cache[name] = cached if cached and cached.snapshot is snapshot else CachedStatus(snapshot)
    if len(cache) > MAX_CACHED_MAILBOXES:
        del cache[next(iter(cache))]
    return cache[name]


async def _recent(conversation: Conversation, snapshot: Snapshot) -> int:
    """The number of unclaimed \\Recent messages. Not cached, because claiming them leaves MODSEQ unchanged."""
    mailbox, context = snapshot.mailbox, conversation.context
    first = await context.store.take_recent(conversation.account, mailbox.id, NO_UID)
    unclaimed = context.recent.unclaimed(mailbox.id, UidRange(first, mailbox.uid_next))
    return len(snapshot.entries) - snapshot.entries.index_of(unclaimed.first)


def _value(conversation: Conversation, cached: CachedStatus, item: str) -> bytes:
    mailbox, entries = cached.snapshot.mailbox, cached.snapshot.entries
    if item == "MAILBOXID":
        return b"(%b)" % mailbox_id(mailbox)
    if item == "APPENDLIMIT":
        return b"%d" % conversation.context.append_limit
    if item not in cached.counts:
        cached.counts[item] = STATUS_COUNTS[item](mailbox, entries)
    return b"%d" % cached.counts[item]


STATUS_COUNTS: Mapping[str, Callable[[Mailbox, EntryList], int]] = {
    "MESSAGES": lambda mailbox, _: mailbox.messages,
    "UIDNEXT": lambda mailbox, _: mailbox.uid_next,
    "UIDVALIDITY": lambda mailbox, _: mailbox.uid_validity,
    "HIGHESTMODSEQ": lambda mailbox, _: mailbox.highest_modseq,
    "SIZE": lambda mailbox, _: mailbox.octets,
    "UNSEEN": lambda _, entries: entries.with_flag(SEEN).count(0),
    "DELETED": lambda _, entries: entries.with_flag(DELETED).count(1),
    "DELETED-STORAGE": lambda _, entries: sum(compress(entries.column("size"), entries.with_flag(DELETED))),
}
"""RFC 9051 §6.3.11, RFC 7162 §3.1, RFC 8438, RFC 9208 §4.3."""


def mailbox_id(mailbox: Mailbox) -> bytes:
    """The MAILBOXID of RFC 8474, which survives renaming."""
    return b"F%d" % mailbox.id
