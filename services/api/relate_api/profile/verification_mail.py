"""The message with the code that proves an address. Pure.

There is no link that proves the address by a click: its reader may be a person who has never heard of this server, and
would permit a stranger to send in their name. The code has to reach the user who claims the address.
"""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from relate_accounts.addresses import domain_of
from relate_accounts.claims import CODE_PERIOD
from relate_accounts.types import User
from relate_api.config import SERVICE
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.types import AccountId, Delivery

_TEXT = """\
{user} is a user of the mail system {server} and says that this
address is theirs:

    {address}

If this is true, {user} can prove it there with this code, within
{hours} hours:

    {code}

Mail that {user} sends may then have this address as its sender.

If you did not expect this message, ignore it: without the code
nothing happens. Give the code to nobody else.
"""


def verification_delivery(
    user: User, address: str, code: str, *, server_name: str, identifier: str, now: float
) -> Delivery:
    """The message to a canonical address of another domain, for the queue; `now` is in seconds since the epoch.

    Its reverse-path is null, so that no report answers it, and no vacation responder (RFC 3834 §2).
    """
    header_message_id = f"{identifier}@{server_name}"
    message = EmailMessage(policy=SMTP.clone(utf8=not address.isascii()))
    message["Date"] = formatdate(now, usegmt=True).replace("GMT", "+0000")
    message["From"] = f"Mail System <postmaster@{server_name}>"
    message["To"] = address
    message["Subject"] = "A code to prove that this address is yours"
    message["Message-ID"] = f"<{header_message_id}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    hours = int(CODE_PERIOD.total_seconds() // 3_600)
    text = _TEXT.format(user=user.address, server=server_name, address=address, code=code, hours=hours)
    message.set_content(text, cte="7bit" if text.isascii() else "8bit")
    recipient = OutgoingRecipient(address, domain_of(address))
    outgoing = Outgoing(
        sender="",
        recipients=(recipient,),
        account_id=AccountId(user.id),
        is_8bit=not text.isascii(),
        is_utf8=not address.isascii(),
        header_message_id=header_message_id,
    )
    queued = Event(
        EventName.QUEUED,
        account_id=outgoing.account_id,
        header_message_id=header_message_id,
        recipient=address,
        service=SERVICE,
        detail={"destination": recipient.domain, "reason": "verification"},
    )
    return Delivery(b"Return-Path: <>\r\n" + message.as_bytes(), (), outgoing=outgoing, events=(queued,))
