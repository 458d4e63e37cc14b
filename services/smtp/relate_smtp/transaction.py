"""One mail transaction (RFC 5321 §3.3): from an accepted MAIL to the reply to its content.

It is over with that reply, whatever it is. 250 means that the message is durable.
"""

from typing import NamedTuple

from relate_accounts.types import Recipient, User
from relate_mailstore.errors import OverQuota
from relate_mailstore.types import AccountId, Delivery
from relate_smtp import replies
from relate_smtp.commands import Bare, Bdat, Hello, Mail, Rcpt
from relate_smtp.context import Context, Role
from relate_smtp.delivery import Accepted, Envelope, find_traceparent, has_looped, prepare_delivery, without_bcc
from relate_smtp.framing import Frame, Mode
from relate_smtp.paths import POSTMASTER
from relate_smtp.routing import Unroutable
from relate_smtp.states import State
from relate_smtp.trace import how_it_came, protocol, received, return_path
from relate_wire.dialogue import Client, Peer
from relate_wire.reply import Reply


class Origin(NamedTuple):
    """Where a transaction comes from: a client, by the name that it gave, and the user who logged in, if any."""

    peer: Peer
    hello: Hello
    user: User | None


class Transaction:
    """The transaction that `mail` began; its `name` goes into the trace."""

    def __init__(self, client: Client[Frame], context: Context, origin: Origin, name: str, mail: Mail) -> None:
        self._client = client
        self._context = context
        self._origin = origin
        self._name = name
        self._envelope = Envelope(mail)
        self.state = State.MAIL
        """READY when the transaction is over."""

    async def on_rcpt(self, command: Rcpt) -> Reply:
        """RFC 5321 §4.1.1.3"""
        if len(self._envelope.recipients) >= self._context.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        if command.needs_utf8 and not self._envelope.mail.utf8:
            return replies.NEEDS_SMTPUTF8
        recipient = await self._context.routing.route(self._address(command), self._origin.user)
        if isinstance(recipient, Unroutable):
            return replies.UNROUTABLE[recipient]
        try:
            await self._check_quota(recipient)
        except OverQuota as error:
            return replies.over_quota(temporary=error.temporary)
        self._envelope.recipients.append(Accepted(command, recipient))
        self.state = State.RCPT
        return replies.RECIPIENT_OK

    async def on_data(self, _: Bare) -> Reply:
        """RFC 5321 §4.1.1.4"""
        if self._envelope.is_binary:
            return replies.BINARY_NEEDS_BDAT
        content = await self._client.ask(replies.START_CONTENT, Mode.CONTENT)
        return await self._receive(content)

    async def on_bdat(self, command: Bdat) -> Reply:
        """RFC 3030 §2. A chunk that is not asked for is thrown away by the framer."""
        if self._envelope.size + command.size > self._context.max_content:
            self.state = State.READY
            return replies.TOO_LARGE
        self.state = State.BDAT
        # The chunk is not kept beside its copy in the envelope: it may be a whole message.
        self._envelope.append((await self._client.ask(b"", Mode.CHUNK)).octets)
        if not command.last:
            return replies.chunk_taken(command.size)
        return await self._receive(self._envelope.assemble())

    def _address(self, command: Rcpt) -> str:
        """The address to look up: `<Postmaster>` is this server's (RFC 5321 §4.5.1)."""
        if command.recipient == POSTMASTER:
            return f"{POSTMASTER}@{self._context.server_name}"
        return command.recipient

    async def _check_quota(self, recipient: Recipient) -> None:
        """With the size as declared, at least an octet: what the message really has is counted when it is stored."""
        if recipient.quota is not None:
            account, octets = AccountId(recipient.user_id), max(1, self._envelope.mail.size)
            await self._context.store.check_quota(account, octets, recipient.quota)

    async def _receive(self, content: Frame) -> Reply:
        """The content has come: refuse it, or make it durable."""
        began = self._context.clock()
        try:
            if content.fault is not None:
                return replies.CONTENT_FAULTS[content.fault]
            if has_looped(content.octets):
                return replies.LOOP
            receipt = await self._context.store.deliver(self._delivery(content.octets))
        except OverQuota as error:
            # One reply is for all recipients. The sender of several tries again, and is then told at each RCPT.
            return replies.over_quota(temporary=error.temporary or self._envelope.has_several_accounts)
        finally:
            self.state = State.READY
        return replies.accepted(receipt, self._context.clock() - began, self._linked(content.octets))

    def _linked(self, content: bytes) -> str | None:
        """Traces are for our users to join: what a stranger writes into a header is nobody's word."""
        return None if self._origin.user is None else find_traceparent(content)

    def _delivery(self, content: bytes) -> Delivery:
        if self._context.role is Role.SUBMISSION:
            content = without_bcc(content)
        return prepare_delivery(self._envelope, self._trace() + content)

    def _trace(self) -> bytes:
        """What is put before the message (RFC 5321 §4.4)."""
        mail, recipients, (peer, hello, user) = self._envelope.mail, self._envelope.recipients, self._origin
        spoken = protocol(
            extended=hello.verb == "EHLO", utf8=mail.utf8, secure=peer.secure, authenticated=user is not None
        )
        came = how_it_came(hello.name, peer.address, self._context.server_name, peer.tls, spoken)
        only = self._address(recipients[0].rcpt) if len(recipients) == 1 else ""
        return return_path(mail.sender) + received(came, self._name, only, self._context.now())
