"""One mail transaction (RFC 5321 §3.3): from an accepted MAIL to the reply to its content.

It is over with that reply, whatever it is. 250 means that the message is durable.
"""

from typing import NamedTuple

from relate_accounts.types import Recipient, User
from relate_mailstore.errors import OverQuota
from relate_mailstore.types import AccountId
from relate_smtp import replies
from relate_smtp.commands import Bare, Bdat, Hello, Mail, Rcpt
from relate_smtp.context import Context, Role
from relate_smtp.delivery import Accepted, Envelope, find_traceparent, has_looped, prepare_delivery
from relate_smtp.framing import DROPPED, Frame, Mode
from relate_smtp.header import Header, TooManyFields, blind_copies, forgeries, missing_fields
from relate_smtp.paths import POSTMASTER
from relate_smtp.routing import Unroutable
from relate_smtp.states import State
from relate_smtp.trace_fields import date_time, how_it_came, protocol, received, return_path
from relate_wire.lines import LineFault
from relate_wire.ports import Client, Peer
from relate_wire.reply import Reply

# Faults of a text; BODY=BINARYMIME takes any octets (RFC 3030 §3).
LINE_ENDS = (LineFault.BARE_LF, LineFault.BARE_CR)


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
        # No variable here holds the content beside `_receive`: it may be 50 MB, and is copied there.
        return await self._receive(await self._client.ask(replies.START_CONTENT, Mode.CONTENT))

    async def on_bdat(self, command: Bdat) -> Reply:
        """RFC 3030 §2. A chunk that is not asked for is thrown away by the framer."""
        if self._envelope.octets + command.size > self._context.max_content:
            self.state = State.READY
            return replies.TOO_LARGE
        self.state = State.BDAT
        self._envelope.octets += command.size
        chunk = await self._client.ask(b"", Mode.CHUNK)
        if command.last or chunk is DROPPED:
            return await self._receive(chunk)
        return replies.chunk_taken(command.size)

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
            if content is DROPPED:
                return replies.NO_MEMORY
            if content.fault is not None and not (self._envelope.is_binary and content.fault in LINE_ENDS):
                return replies.CONTENT_FAULTS[content.fault]
            header = Header(content.octets)
            if has_looped(header):
                return replies.LOOP
            linked = self._linked(header)
            message = self._message(header, content.octets)
            del content  # so that the store's copy is the only one
            receipt = await self._context.store.deliver(prepare_delivery(self._envelope, message))
        except TooManyFields:
            return replies.TOO_MANY_FIELDS
        except OverQuota as error:
            # One reply is for all recipients. The sender of several tries again, and is then told at each RCPT.
            return replies.over_quota(temporary=error.temporary or self._envelope.has_several_accounts)
        finally:
            self.state = State.READY
        return replies.accepted(receipt, self._context.clock() - began, linked)

    def _linked(self, header: Header) -> str | None:
        """Traces are for our users to join: what a stranger writes into a header is nobody's word."""
        return None if self._origin.user is None else find_traceparent(header)

    def _message(self, header: Header, content: bytes) -> bytes:
        """The message as it is stored. Raises TooManyFields."""
        removed = [*forgeries(header, self._context.server_name)]
        added = b""
        if self._context.role is Role.SUBMISSION:
            removed += blind_copies(header)
            name = f"{self._name}@{self._context.server_name}"
            added = missing_fields(header, date_time(int(self._context.now())), name)
        body = memoryview(content)[len(header.octets) :]
        ends = self._envelope.is_binary or not content or content.endswith(b"\r\n")
        return b"".join((self._trace(), added, header.without(removed), body, b"" if ends else b"\r\n"))

    def _trace(self) -> bytes:
        """What is put before the message (RFC 5321 §4.4)."""
        mail, recipients, (peer, hello, user) = self._envelope.mail, self._envelope.recipients, self._origin
        spoken = protocol(
            extended=hello.verb == "EHLO", utf8=mail.utf8, secure=peer.secure, authenticated=user is not None
        )
        came = how_it_came(hello.name, peer.address, self._context.server_name, peer.tls, spoken)
        only = self._address(recipients[0].rcpt) if len(recipients) == 1 else ""
        return return_path(mail.sender) + received(came, self._name, only, self._context.now())
