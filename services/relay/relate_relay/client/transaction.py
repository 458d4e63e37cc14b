"""One mail transaction as a state machine, without I/O (RFC 5321 §3.3, RFC 2920, RFC 3030).

The connection asks for the next action and performs it: it sends a group of commands together, then feeds the reply to
each, or it sends the content, then feeds its reply. In the end each recipient has a result. A reply that refuses the
message as a whole (to MAIL, to DATA, to the content) is the result of each recipient that has none yet.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from relate_relay.client import commands
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.commands import END_OF_CONTENT, Command
from relate_relay.client.envelope import Envelope
from relate_relay.client.errors import ClientError, Disconnected, ProtocolViolation, Refused
from relate_relay.client.replies import ServerReply, Violation
from relate_relay.client.results import Outcome, RecipientResult, Unsendable

# MAIL, DATA and the 100 recipients that each server must accept (RFC 5321 §4.5.3.1.8). All commands of a group are
# buffered before the first reply is read, so that neither side waits for the other (RFC 2920 §3.1).
MAX_GROUP_COMMANDS = 102


class Content(Enum):
    """How to send the content."""

    DATA = "data"
    """With stuffed dots, up to the final dot (RFC 5321 §4.5.2)."""
    CHUNKS = "chunks"
    """By BDAT (RFC 3030)."""
    NOTHING = "nothing"
    """Only the final dot: the server has accepted DATA, but no recipient (RFC 2920 §3.1)."""

    @property
    def verb(self) -> str:
        """The verb whose reply ends the transaction."""
        return "BDAT" if self is Content.CHUNKS else END_OF_CONTENT


Action = tuple[Command, ...] | Content


class Transaction:
    """One message for the recipients of its envelope. Raises ValueError for an address that cannot be sent.

    The content is sent in chunks if the server has announced CHUNKING, because it needs no stuffed dots then.
    """

    def __init__(self, envelope: Envelope, capabilities: Capabilities) -> None:
        self._envelope = envelope
        self._group_commands = MAX_GROUP_COMMANDS if capabilities.pipelining else 1
        self._unsent = deque([commands.mail(envelope, capabilities)])
        self._unsent += [commands.rcpt(recipient, capabilities) for recipient in envelope.recipients]
        if not capabilities.chunking:
            self._unsent.append(commands.DATA)
        self._awaited: deque[Command] = deque()
        self._results: list[RecipientResult | None] = [None] * len(envelope.recipients)
        self._undecided = len(envelope.recipients)
        self._next_recipient = 0  # whose RCPT is answered next
        self._content: Content | None = None  # whose reply is awaited
        self._is_open = False  # on the server: since MAIL was accepted, until the content was answered
        self._content_sent = False
        unsendable = find_unsendable(envelope, capabilities)
        if unsendable is not None:
            self._decide_rest(Outcome.PERMANENT, "MAIL", error=unsendable)

    @property
    def awaited(self) -> str:
        """The verb of the command whose reply is fed next; empty if all commands were answered."""
        return self._awaited[0].verb if self._awaited else ""

    @property
    def needs_reset(self) -> bool:
        """Whether the server has an open transaction, which RSET must end before the next MAIL."""
        return self._is_open

    def next_action(self) -> Action | None:
        """Return what to send after all replies were fed; None at the end of the transaction."""
        if self._content is not None:
            return self._content
        if not self._undecided:
            return None
        if not self._unsent:
            self._content = Content.CHUNKS
            return self._content
        group = [self._unsent.popleft() for _ in range(min(self._group_commands, len(self._unsent)))]
        self._awaited.extend(group)
        return tuple(group)

    def content_sent(self) -> None:
        """Note that the end of the content is sent now: from here on the server may accept it."""
        self._content_sent = self._content is not Content.NOTHING

    def receive(self, reply: ServerReply) -> None:
        """Feed the next reply: to the oldest command without one, else to the content. Raises ProtocolViolation."""
        if self._awaited:
            command = self._awaited.popleft().verb
            self._RECEIVE[command](self, reply)
        else:
            command = self._receive_for_content(reply)
        if reply.is_closing:  # §3.8: the server closes the connection
            self._awaited.clear()
            self._content = None
            self._decide_rest(Outcome.TEMPORARY, command, reply)

    def fail(self, error: Disconnected | ProtocolViolation | Refused) -> None:
        """End the transaction, because the connection cannot be used any more."""
        unknown = self._content_sent and self._content is not None
        self._awaited.clear()
        self._content = None
        self._decide_rest(Outcome.TEMPORARY, error.command, error=error, may_be_delivered=unknown)

    def results(self) -> list[RecipientResult]:
        """Return the result of each recipient in the order of the envelope, at the end of the transaction."""
        return [result for result in self._results if result is not None]

    def _receive_for_mail(self, reply: ServerReply) -> None:
        if reply.is_positive:
            self._is_open = True
        else:
            self._decide_rest(refusal("MAIL", reply), "MAIL", reply)

    def _receive_for_rcpt(self, reply: ServerReply) -> None:
        index = self._next_recipient
        self._next_recipient += 1
        if not (self._results[index] or reply.is_positive):  # after a refused MAIL, RCPT is out of sequence
            self._decide(
                index, RecipientResult(self._envelope.recipients[index], refusal("RCPT", reply), "RCPT", reply)
            )

    def _receive_for_data(self, reply: ServerReply) -> None:
        if reply.is_intermediate:
            self._content = Content.DATA if self._undecided else Content.NOTHING
        else:
            self._decide_rest(refusal("DATA", reply), "DATA", reply)

    def _receive_for_content(self, reply: ServerReply) -> str:
        content = self._content or Content.DATA
        command = content.verb
        outcome = Outcome.ACCEPTED if reply.is_positive else refusal(command, reply)
        self._content = None
        self._is_open = content is Content.CHUNKS and not reply.is_positive  # RFC 3030 §2: RSET after a refused chunk
        self._decide_rest(outcome, command, reply)
        return command

    _RECEIVE: ClassVar[Mapping[str, Callable[["Transaction", ServerReply], None]]] = {
        "MAIL": _receive_for_mail,
        "RCPT": _receive_for_rcpt,
        "DATA": _receive_for_data,
    }

    def _decide(self, index: int, result: RecipientResult) -> None:
        self._results[index] = result
        self._undecided -= 1

    def _decide_rest(
        self,
        outcome: Outcome,
        command: str,
        reply: ServerReply | None = None,
        error: ClientError | Unsendable | None = None,
        *,
        may_be_delivered: bool = False,
    ) -> None:
        """Give this result to each recipient without one."""
        for index, recipient in enumerate(self._envelope.recipients):
            if self._results[index] is None:
                self._decide(index, RecipientResult(recipient, outcome, command, reply, error, may_be_delivered))


def refusal(command: str, reply: ServerReply) -> Outcome:
    """Return the outcome of a command that was not accepted. Raises ProtocolViolation for 2yz and 3yz."""
    if reply.is_positive or reply.is_intermediate:
        raise ProtocolViolation(Violation.UNEXPECTED_CODE, command)
    if reply.is_temporary:
        return Outcome.TEMPORARY
    # RFC 5321 §4.5.3.1.10: RFC 821 had 552 for too many recipients, which is temporary. Others mean a full mailbox.
    too_many = command == "RCPT" and reply.code == 552 and reply.enhanced in ("", "5.5.3")
    return Outcome.TEMPORARY if too_many else Outcome.PERMANENT


def find_unsendable(envelope: Envelope, capabilities: Capabilities) -> Unsendable | None:
    """Return why the server cannot be sent this message; None if it can."""
    if capabilities.max_size and envelope.size > capabilities.max_size:
        return Unsendable.TOO_LARGE
    if envelope.requires_smtputf8 and not capabilities.smtputf8:
        return Unsendable.NEEDS_SMTPUTF8
    if envelope.needs_8bit and not capabilities.eight_bit_mime:
        return Unsendable.NEEDS_8BITMIME
    return None
