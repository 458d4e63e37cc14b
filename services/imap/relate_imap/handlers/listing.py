"""LIST, LSUB, STATUS, NAMESPACE: which mailboxes there are, what is in them (RFC 9051 §6.3.9-11, RFC 5258, 5819)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from relate_imap import responses
from relate_imap.answers import Answer, Refused, ok
from relate_imap.commands import Bare, List, Status
from relate_imap.conversation import Conversation, Extension, Polled
from relate_imap.flags import DELETED, SEEN
from relate_imap.grammar import names
from relate_imap.hierarchy import DELIMITER, Listed, Tree
from relate_mailstore.entries import Entries
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import Entry, Mailbox, Snapshot

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
    tree = await _tree(conversation)
    listed = list(tree.list(_full(command), command.selection, command.returning))
    lines = [line for one in listed for line in await _lines(conversation, one, command.status)]
    return ok("That is all", untagged=b"".join(lines))


async def on_lsub(conversation: Conversation, command: List) -> Answer:
    """LSUB of RFC 3501."""
    tree = await _tree(conversation)
    lines = [_line(conversation, one, b"LSUB") for one in tree.lsub(_full(command))]
    return ok("That is all", untagged=b"".join(lines))


async def on_status(conversation: Conversation, command: Status) -> Answer:
    """STATUS, of the selected mailbox too."""
    return ok("That is it", untagged=await _status(conversation, command.mailbox, command.items))


async def _tree(conversation: Conversation) -> Tree:
    store, account = conversation.context.store, conversation.account
    return Tree(await store.mailboxes(account), await store.subscriptions(account))


def _full(command: List) -> Sequence[str]:
    """The reference is put in front, as it is; there is nothing else it could mean here."""
    return [command.reference + pattern for pattern in command.patterns]


async def _lines(conversation: Conversation, listed: Listed, status: Sequence[str]) -> Iterable[bytes]:
    line = _line(conversation, listed, b"LIST")
    if not status or listed.mailbox is None:
        return [line]
    try:
        return [line, await _status(conversation, listed.name, status)]
    except MailboxNotFound:  # deleted in this very moment (RFC 5819 §2)
        return [line]


def _line(conversation: Conversation, listed: Listed, kind: bytes) -> bytes:
    name = names.encode_mailbox(listed.name, utf8=conversation.utf8)
    children = b' ("CHILDINFO" ("SUBSCRIBED"))' if listed.child_info else b""
    return b"* %b (%b) %b %b%b\r\n" % (kind, " ".join(listed.attributes).encode(), _DELIMITER, name, children)


async def _status(conversation: Conversation, name: str, items: Sequence[str]) -> bytes:
    if COUNTED & set(items):
        polled = await _poll(conversation, name)
    else:
        polled = Polled(Snapshot(await conversation.context.store.mailbox(conversation.account, name), Entries()))
    if "HIGHESTMODSEQ" in items:
        conversation.enabled.add(Extension.CONDSTORE)  # RFC 7162 §3.1
    values = b" ".join(b"%b %b" % (item.encode(), _value(conversation, polled, item)) for item in items)
    return b"* STATUS %b (%b)\r\n" % (
        names.encode_mailbox(polled.snapshot.mailbox.name, utf8=conversation.utf8),
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
    "RECENT": lambda mailbox, entries: sum(entry.uid >= mailbox.recent for entry in entries),
}
"""RFC 9051 §6.3.11, RFC 7162 §3.1, RFC 8438, RFC 9208 §4.3."""


def mailbox_id(mailbox: Mailbox) -> bytes:
    """The MAILBOXID of RFC 8474: it stays with a mailbox through its renamings."""
    return b"F%d" % mailbox.id
