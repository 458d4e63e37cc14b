"""The mutable state of one SMTP connection. `SmtpSession` owns it, and handlers read and change it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from relate_accounts.types import User
from relate_mailstore.queue_types import OutgoingRecipient
from relate_smtp.commands import Hello, Mail
from relate_smtp.context import Context
from relate_smtp.framing import Frame
from relate_smtp.states import State
from relate_submission.envelope import AcceptedRecipient, Envelope, Reception
from relate_submission.trace_fields import protocol_name
from relate_wire.ports import Client, Peer

NO_HELLO = Hello("", "")

SERVICE = "smtp"
"""The service's name in the event log."""


@dataclass(slots=True)
class Transaction:
    """One mail transaction (RFC 5321 §3.3), from an accepted MAIL to the reply to its content."""

    id: str
    """Unique on this server, for the Received field and a Message-ID."""
    mail: Mail
    recipients: list[AcceptedRecipient] = field(default_factory=list)
    outgoing: list[OutgoingRecipient] = field(default_factory=list)
    """The recipients on other servers."""
    octets: int = 0
    """The sum of the chunk sizes that BDAT has announced."""

    @property
    def is_binary(self) -> bool:
        """Whether the content may be any octets instead of lines (RFC 3030 §3)."""
        return self.mail.body == "BINARYMIME"

    @property
    def addresses(self) -> list[str]:
        """The accepted addresses, as the client wrote them."""
        return [accepted.address for accepted in self.recipients] + [to.address for to in self.outgoing]

    @property
    def envelope(self) -> Envelope:
        """The envelope of the message, with the recipients so far."""
        mail = self.mail
        return Envelope(
            mail.sender,
            self.recipients,
            self.outgoing,
            ret=mail.ret,
            envid=mail.envid,
            is_8bit=mail.body != "7BIT",
            is_utf8=mail.utf8,
        )

    @property
    def has_several_accounts(self) -> bool:
        """Whether a refusal by one account concerns others: several addresses may belong to one account."""
        return len({accepted.recipient.user_id for accepted in self.recipients}) > 1 or bool(self.outgoing)


@dataclass(slots=True)
class Conversation:
    """The state of one connection."""

    client: Client[Frame]
    context: Context
    peer: Peer
    state: State = State.CONNECT
    hello: Hello = NO_HELLO
    user: User | None = None
    """The user who is logged in."""
    unwatch: Callable[[], None] | None = None
    """Stops watching the user's key."""
    transaction: Transaction | None = None
    transactions: int = 0
    """The number of transactions so far, which numbers them."""
    failed_logins: int = 0

    @property
    def open_transaction(self) -> Transaction:
        """The open mail transaction."""
        if self.transaction is None:
            raise RuntimeError("a command of a mail transaction was allowed outside of one")
        return self.transaction

    @property
    def protocol(self) -> str:
        """The protocol of the open transaction, as in its Received field."""
        return protocol_name(
            extended=self.hello.verb == "EHLO",
            utf8=self.open_transaction.mail.utf8,
            secure=self.peer.secure,
            authenticated=self.user is not None,
        )

    @property
    def reception(self) -> Reception:
        """How the message of the open transaction was received."""
        return Reception(
            self.open_transaction.id,
            SERVICE,
            self.protocol,
            self.hello.name,
            self.peer.address,
            self.peer.tls,
            self.context.server_name,
            self.context.now(),
        )

    def begin_transaction(self, mail: Mail) -> None:
        """Open a transaction and enter the state MAIL. Its id begins with the session's, which the spans have."""
        self.transactions += 1
        self.transaction = Transaction(f"{self.client.session_id}.{self.transactions}", mail)
        self.state = State.MAIL

    def end_transaction(self) -> None:
        """Discard the transaction, if one is open, and return to READY."""
        if self.transaction is not None:
            self.transaction = None
            self.state = State.READY

    def restart(self, peer: Peer) -> None:
        """Return to the state of a new connection from `peer`, except for its counters."""
        self.peer = peer
        self.state = State.CONNECT
        self.hello = NO_HELLO
        self.user = None
        self.transaction = None
        self.stop_watching()

    def stop_watching(self) -> None:
        """Stop watching the user's key. Idempotent."""
        if self.unwatch is not None:
            self.unwatch()
            self.unwatch = None
