"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4-8)."""

import unicodedata

from relate_imap.answers import Answer, Refused, ok
from relate_imap.commands import Create, OnMailbox, Rename
from relate_imap.conversation import Conversation
from relate_imap.handlers.listing import mailbox_id
from relate_mailstore.errors import MailboxExists, MailboxNotFound
from relate_mailstore.rules import DELIMITER, parents
from relate_mailstore.types import INBOX

# Long enough for every tree that people make, short enough for an index: octets of a whole name, and levels of it.
MAX_NAME = 1000
MAX_LEVELS = 50

SPECIAL_USES = {use.upper(): use for use in ("\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")}
"""RFC 6154 §2 without \\All, which would be a view of everything and is none here."""


async def on_create(conversation: Conversation, command: Create) -> Answer:
    """CREATE, and the names above it where they are missing; a "/" at the end says only that some will be below."""
    store, account = conversation.context.store, conversation.account
    name = new_name(command.mailbox.removesuffix(DELIMITER))
    special_use = _special_use(command.special_use)
    if special_use and special_use in {mailbox.special_use for mailbox in await store.mailboxes(account)}:
        raise Refused("There is a mailbox for that use already", "USEATTR")
    mailbox = await store.create_mailbox(account, name, special_use)
    for parent in parents(name):
        try:
            await store.create_mailbox(account, parent)
        except MailboxExists:
            break  # and so do all above it
    return ok("Created", f"MAILBOXID ({mailbox_id(mailbox).decode()})")


async def on_delete(conversation: Conversation, command: OnMailbox) -> Answer:
    """DELETE; mailboxes below it stay."""
    store, account = conversation.context.store, conversation.account
    if command.mailbox == INBOX:
        raise Refused("INBOX cannot be deleted", "CANNOT")
    try:
        await store.delete_mailbox(account, command.mailbox)
    except MailboxNotFound:
        below = command.mailbox + DELIMITER
        if any(mailbox.name.startswith(below) for mailbox in await store.mailboxes(account)):
            raise Refused("It is only a name with mailboxes below it", "HASCHILDREN") from None
        raise
    return ok("Deleted")


async def on_rename(conversation: Conversation, command: Rename) -> Answer:
    """RENAME, with all that is below it. Names above the new one are made where they are missing."""
    store, account = conversation.context.store, conversation.account
    name = new_name(command.new_name)
    if (name + DELIMITER).startswith(command.mailbox + DELIMITER):
        raise Refused("A mailbox cannot be moved below itself", "CANNOT")
    await store.rename_mailbox(account, command.mailbox, name)
    for parent in parents(name):
        try:
            await store.create_mailbox(account, parent)
        except MailboxExists:
            break
    return ok("Renamed")


async def on_subscribe(conversation: Conversation, command: OnMailbox) -> Answer:
    """SUBSCRIBE: to what there is. What is deleted later stays subscribed (RFC 9051 §6.3.7)."""
    store, account = conversation.context.store, conversation.account
    mailbox = await store.mailbox(account, command.mailbox)
    await store.subscribe(account, mailbox.name, True)
    return ok("Subscribed")


async def on_unsubscribe(conversation: Conversation, command: OnMailbox) -> Answer:
    """UNSUBSCRIBE: from anything, whether it is there or not."""
    await conversation.context.store.subscribe(conversation.account, command.mailbox, False)
    return ok("Unsubscribed")


def new_name(name: str) -> str:
    """A name that a mailbox may be given (RFC 9051 §5.1). Raises Refused."""
    levels = name.split(DELIMITER)
    if not all(levels):
        raise Refused("A level of the name is empty", "CANNOT")
    if len(name.encode()) > MAX_NAME or len(levels) > MAX_LEVELS:
        raise Refused("The name is too long", "LIMIT")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise Refused("A character of the name is not allowed", "CANNOT")
    if levels[0].lower() == INBOX.lower():
        levels[0] = INBOX
    return DELIMITER.join(levels)


def _special_use(attributes: tuple[str, ...]) -> str:
    """One of RFC 6154 §2, or none. Raises Refused with USEATTR (RFC 6154 §3)."""
    if len(attributes) > 1:
        raise Refused("A mailbox has one use here", "USEATTR")
    if not attributes:
        return ""
    if attributes[0].upper() not in SPECIAL_USES:
        raise Refused("That use is not known here", "USEATTR")
    return SPECIAL_USES[attributes[0].upper()]
