"""LIST, LSUB, STATUS, NAMESPACE: which mailboxes there are, what is in them (RFC 9051 §6.3.9-11, RFC 5258, 5819)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from relate_imap import responses
from relate_imap.commands import Bare, List, Status
from relate_imap.conversation import Conversation, Extension, Polled
from relate_imap.flags import DELETED, SEEN
from relate_imap.grammar import mailbox_names
from relate_imap.list_patterns import Listed, Tree
from relate_imap.replies import Answer, Refused, ok
from relate_imap.selected.recent import Uids
from relate_mailstore.entry_list import EntryList
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.mailbox_names import DELIMITER
from relate_mailstore.types import Entry, Mailbox, Snapshot

# Of all patterns of a LIST together: each is held against every name, and no name has more than 1,000 octets.
MAX_PATTERN_CHARACTERS = 4_000

# What only the entries tell; everything else stands in the mailbox's own row.
COUNTED = frozenset({"UNSEEN", "DELETED", "DELETED-STORAGE", "RECENT"})

# Mailboxes of one client whose entries are held on to: most mail programs poll a handful, and they are shared.
MAX_POLLED = 8

_DELIMITER = responses.string(DELIMITER.encode())


async def on_namespace(_: Conversation, __: Bare) -> Answer:
    """RFC 2342: one personal namespace; nothing is shared."""
    return ok("That is all", untagged=b'* NAMESPACE (("" %b)) NIL NIL\r\n' % _DELIMITER)


async def on_list(conversation: Conversation, command: List) -> Answer:
    """LIST, plain and extended."""
    if "RECURSIVEMATCH" in command.selection and not command.selection & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise Refused("RECURSIVEMATCH needs another selection", bad=True)  # RFC 5258 §3.5
    if command.patterns == ("",) and not command.extended:  # it asks for the delimiter (RFC 9051 §6.3.9)
        return ok("That is the delimiter", untagged=b'* LIST (\\Noselect) %b ""\r\n' % _DELIMITER)
    patterns = _full(command)
    listed = await _listed(
        conversation, patterns, lambda tree: tree.list(patterns, command.selection, command.returning), b"LIST"
    )
    lines = [line for one in listed for line in await _lines(conversation, *one, command.status)]
    return ok("That is all", untagged=b"".join(lines))


async def on_lsub(conversation: Conversation, command: List) -> Answer:
    """LSUB of RFC 3501."""
    patterns = _full(command)
    listed = await _listed(conversation, patterns, lambda tree: tree.lsub(patterns), b"LSUB")
    return ok("That is all", untagged=b"".join(line for _, line in listed))


async def on_status(conversation: Conversation, command: Status) -> Answer:
    """STATUS, of the selected mailbox too."""
    return ok("That is it", untagged=await _status(conversation, command.mailbox, command.items))


async def _listed(
    conversation: Conversation, patterns: Sequence[str], choose: Callable[[Tree], Iterable[Listed]], kind: bytes
) -> Sequence[tuple[Listed, bytes]]:
    """The names that are chosen out of all that the account has, each with its line."""
    store, account = conversation.context.store, conversation.account
    mailboxes, subscriptions = await store.mailboxes(account), await store.subscriptions(account)
    octets = sum(len(mailbox.name) for mailbox in mailboxes) + sum(map(len, subscriptions))

    def work() -> list[tuple[Listed, bytes]]:
        chosen = choose(Tree(mailboxes, subscriptions))
        return [(one, _line(conversation, one, kind)) for one in chosen]

    return await conversation.context.work(octets * len(patterns), work)


def _full(command: List) -> Sequence[str]:
    """The reference is put in front, as it is; there is nothing else it could mean here. Raises Refused."""
    patterns = [command.reference + pattern for pattern in command.patterns]
    if sum(map(len, patterns)) > MAX_PATTERN_CHARACTERS:
        raise Refused("The patterns are too long", "LIMIT")
    return patterns


async def _lines(conversation: Conversation, listed: Listed, line: bytes, status: Sequence[str]) -> Iterable[bytes]:
    if not status or listed.mailbox is None:
        return [line]
    try:
        return [line, await _status(conversation, listed.name, status)]
    except MailboxNotFound:  # deleted in this very moment (RFC 5819 §2)
        return [line]


def _line(conversation: Conversation, listed: Listed, kind: bytes) -> bytes:
    name = mailbox_names.encode_mailbox(listed.name, utf8=conversation.utf8)
    children = b' ("CHILDINFO" ("SUBSCRIBED"))' if listed.child_info else b""
    return b"* %b (%b) %b %b%b\r\n" % (kind, " ".join(listed.attributes).encode(), _DELIMITER, name, children)


async def _status(conversation: Conversation, name: str, items: Sequence[str]) -> bytes:
    if COUNTED & set(items):
        polled = await _poll(conversation, name)
    else:
        polled = Polled(Snapshot(await conversation.context.store.mailbox(conversation.account, name), EntryList()))
    if "HIGHESTMODSEQ" in items:
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    recent = await _recent(conversation, polled.snapshot) if "RECENT" in items else 0
    values = b" ".join(
        b"%b %d" % (item.encode(), recent)
        if item == "RECENT"
        else b"%b %b" % (item.encode(), _value(conversation, polled, item))
        for item in items
    )
    return b"* STATUS %b (%b)\r\n" % (
        mailbox_names.encode_mailbox(polled.snapshot.mailbox.name, utf8=conversation.utf8),
        values,
    )


async def _poll(conversation: Conversation, name: str) -> Polled:
    """The mailbox of that name. Who asks for it time and again costs no query where nothing has changed."""
    store, polled = conversation.context.store, conversation.polled
    known = polled.pop(name, None)
    try:
        snapshot = await store.refresh(known.snapshot) if known else None
    except MailboxNotFound:
        snapshot = None
    if snapshot is None or snapshot.mailbox.name != name:  # another mailbox may have the name now
        snapshot = await store.snapshot(conversation.account, name)
    polled[name] = known if known and known.snapshot is snapshot else Polled(snapshot)
    if len(polled) > MAX_POLLED:
        del polled[next(iter(polled))]
    return polled[name]


async def _recent(conversation: Conversation, snapshot: Snapshot) -> int:
    """How many messages no session was told of: asked anew, because taking them is no change of the mailbox."""
    mailbox, context = snapshot.mailbox, conversation.context
    first = await context.store.take_recent(conversation.account, mailbox.id, 0)
    left = context.recent.left(mailbox.id, Uids(first, mailbox.uid_next))
    return len(snapshot.entries) - snapshot.entries.index_of(left.first)


def _value(conversation: Conversation, polled: Polled, item: str) -> bytes:
    mailbox, entries = polled.snapshot.mailbox, polled.snapshot.entries
    if item == "MAILBOXID":
        return b"(%b)" % mailbox_id(mailbox)
    if item == "APPENDLIMIT":
        return b"%d" % conversation.context.append_limit
    if item not in polled.numbers:
        polled.numbers[item] = NUMBERS[item](mailbox, entries)
    return b"%d" % polled.numbers[item]


def _deleted(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.flags & DELETED]


NUMBERS: Mapping[str, Callable[[Mailbox, Sequence[Entry]], int]] = {
    "MESSAGES": lambda mailbox, _: mailbox.messages,
    "UIDNEXT": lambda mailbox, _: mailbox.uid_next,
    "UIDVALIDITY": lambda mailbox, _: mailbox.uid_validity,
    "HIGHESTMODSEQ": lambda mailbox, _: mailbox.highest_modseq,
    "SIZE": lambda mailbox, _: mailbox.octets,
    "UNSEEN": lambda _, entries: len([entry for entry in entries if not entry.flags & SEEN]),
    "DELETED": lambda _, entries: len(_deleted(entries)),
    "DELETED-STORAGE": lambda _, entries: sum(entry.size for entry in _deleted(entries)),
}
"""RFC 9051 §6.3.11, RFC 7162 §3.1, RFC 8438, RFC 9208 §4.3."""


def mailbox_id(mailbox: Mailbox) -> bytes:
    """The MAILBOXID of RFC 8474: it stays with a mailbox through its renamings."""
    return b"F%d" % mailbox.id
