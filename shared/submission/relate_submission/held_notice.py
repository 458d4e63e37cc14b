"""The message that tells users that their mail is held, because they have sent to too many recipients."""

from contextlib import suppress

from relate_accounts.types import User
from relate_mailstore.errors import StoreError
from relate_mailstore.event_rules import of_own_message
from relate_mailstore.ports import MailStore
from relate_mailstore.queue_types import Excess
from relate_mailstore.sending_rules import describe_limit
from relate_mailstore.types import AccountId, Delivery, Destination, Receipt
from relate_mime.writing.system_fields import system_fields
from relate_mime.writing.text import visible, wrap
from relate_submission.envelope import Reception

SUBJECT = "Your mail to other servers is held"

_TEXT = """\
You have sent mail to {sent} recipients on other servers. Mail to {limit} is held, because a
stolen password is often used to send to so many.

What happened: your last message waits on this server. It is not lost, and you need not send it again. What you
send to other servers waits too, until the number is below the limit again; what you send meanwhile counts. Mail to
users of this system is delivered as always.

What you can do: if you have sent these messages yourself, ask the administrator of this mail system to release them
(relate queue release --account). If you have not, someone else has your password: tell the administrator at once,
who can revoke it and drop the messages.

This message is from the mail system {server_name}."""
_FIELDS = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"


async def tell_held(store: MailStore, user: User, receipt: Receipt, reception: Reception) -> None:
    """Tell a user that mail is held, if the message of this receipt is, and the user does not know.

    If that fails, the next message that is held tells: this one is accepted.
    """
    excess = receipt.excess
    if excess is None or excess.is_told:
        return
    notice = make_notice(
        excess,
        user.address,
        server_name=reception.server_name,
        identifier=f"held.{reception.identifier}",
        now=reception.time,
    )
    account_id = AccountId(user.id)
    events = of_own_message(account_id, user.address, reception.service, len(notice))
    delivery = Delivery(notice, (Destination(account_id),), events=events, is_filtered=False)
    with suppress(StoreError):
        await store.tell_held(account_id, excess.limit, delivery)


def make_notice(excess: Excess, address: str, *, server_name: str, identifier: str, now: float) -> bytes:
    """Write the notice to the user with this address; `now` is in seconds since the epoch, `identifier` unique."""
    header = system_fields(
        address,
        SUBJECT,
        server_name=server_name,
        identifier=identifier,
        now=now,
        auto_submitted="auto-generated",  # RFC 3834 §5
    )
    text = _TEXT.format(sent=f"{excess.sent:,}", limit=describe_limit(excess.limit), server_name=visible(server_name))
    lines = [line for paragraph in text.split("\n\n") for line in (*wrap(paragraph.replace("\n", " ")), "")]
    return b"".join([*header, _FIELDS, "\r\n".join(lines).encode()])
