"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4-8)."""

from relate_imap.commands import Create, MailboxCommand, Rename
from relate_imap.conversation import Conversation
from relate_imap.handlers.list_status import mailbox_id
from relate_imap.replies import Refused, TaggedResponse, ok
from relate_mailstore.errors import InvalidMailboxName, MailboxExists, MailboxNotFound, TooManyMailboxes
from relate_mailstore.mailbox_names import (
    ARCHIVE,
    DELIMITER,
    DRAFTS,
    JUNK,
    SENT,
    TRASH,
    check_new_name,
    check_renaming,
    parents,
)
from relate_mailstore.types import INBOX

SPECIAL_USES = {use.upper(): use for use in (ARCHIVE, DRAFTS, "\\Flagged", JUNK, SENT, TRASH)}
"""RFC 6154 §2 without \\All, a virtual mailbox that is not implemented."""


async def on_create(conversation: Conversation, command: Create) -> TaggedResponse:
    """CREATE, with missing parents. A trailing "/" only declares that names below it will be created."""
    store, account = conversation.context.store, conversation.account
    try:
        name = check_new_name(command.mailbox.removesuffix(DELIMITER))
    except InvalidMailboxName as error:
        raise _refused(error) from None
    special_use = _special_use(command.special_use)
    if special_use and special_use in {mailbox.special_use for mailbox in await store.mailboxes(account)}:
        raise Refused("A mailbox with that special use already exists", "USEATTR")
    mailbox = await store.create_mailbox(account, name, special_use)
    await _create_parents(conversation, mailbox.name)
    return ok("Created", f"MAILBOXID ({mailbox_id(mailbox).decode()})")


async def on_delete(conversation: Conversation, command: MailboxCommand) -> TaggedResponse:
    """DELETE; mailboxes below it are kept."""
    store, account = conversation.context.store, conversation.account
    if command.mailbox == INBOX:
        raise Refused("INBOX cannot be deleted", "CANNOT")
    try:
        await store.delete_mailbox(account, command.mailbox)
    except MailboxNotFound:
        below = command.mailbox + DELIMITER
        if any(mailbox.name.startswith(below) for mailbox in await store.mailboxes(account)):
            raise Refused("The name has no mailbox, only mailboxes below it", "HASCHILDREN") from None
        raise
    return ok("Deleted")


async def on_rename(conversation: Conversation, command: Rename) -> TaggedResponse:
    """RENAME, with the mailboxes below it. Missing parents of the new name are created."""
    store, account = conversation.context.store, conversation.account
    try:
        name = check_new_name(command.new_name)
        check_renaming(command.mailbox, name)
        await store.rename_mailbox(account, command.mailbox, name)
    except InvalidMailboxName as error:
        raise _refused(error) from None
    await _create_parents(conversation, name)
    return ok("Renamed")


async def on_subscribe(conversation: Conversation, command: MailboxCommand) -> TaggedResponse:
    """SUBSCRIBE to an existing mailbox. Deleting it keeps the subscription (RFC 9051 §6.3.7)."""
    store, account = conversation.context.store, conversation.account
    mailbox = await store.mailbox(account, command.mailbox)
    await store.subscribe(account, mailbox.name, True)
    return ok("Subscribed")


async def on_unsubscribe(conversation: Conversation, command: MailboxCommand) -> TaggedResponse:
    """UNSUBSCRIBE from any name, whether the mailbox exists or not."""
    await conversation.context.store.subscribe(conversation.account, command.mailbox, False)
    return ok("Unsubscribed")


async def _create_parents(conversation: Conversation, name: str) -> None:
    """Create the missing parents while the limit allows; LIST includes parents without a mailbox too."""
    for parent in parents(name):
        try:
            await conversation.context.store.create_mailbox(conversation.account, parent)
        except (MailboxExists, TooManyMailboxes):
            break  # those above it exist


def _refused(error: InvalidMailboxName) -> Refused:
    return Refused(str(error), "LIMIT" if error.is_limit else "CANNOT")


def _special_use(attributes: tuple[str, ...]) -> str:
    """A special use of RFC 6154 §2, "" for none. Raises Refused with USEATTR (RFC 6154 §3)."""
    if len(attributes) > 1:
        raise Refused("A mailbox can have only one special use", "USEATTR")
    if not attributes:
        return ""
    if attributes[0].upper() not in SPECIAL_USES:
        raise Refused("Unknown special use", "USEATTR")
    return SPECIAL_USES[attributes[0].upper()]
