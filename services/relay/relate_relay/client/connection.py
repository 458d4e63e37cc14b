"""A connection to another server, from the TCP connection to QUIT.

    connection = await open_connection("192.0.2.1", 25)
    await connection.greet("mail.example.test")
    if connection.capabilities.starttls:
        await connection.start_tls(context, "mx.example.test")
    results = await connection.send(envelope, content)
    await connection.quit()

A message is sent as it is: its line ends must be CRLF. Several messages can be sent one after another. An error that
leaves the replies of the server out of step, or a cancellation, closes the connection (`is_open`).
"""

import ssl
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager, suppress

from relate_relay.client import commands
from relate_relay.client.capabilities import NO_CAPABILITIES, Capabilities, parse_capabilities
from relate_relay.client.commands import LOGIN_MECHANISMS
from relate_relay.client.content import send_chunks, send_data
from relate_relay.client.dialogue import Dialogue
from relate_relay.client.envelope import Envelope
from relate_relay.client.errors import (
    ConnectFailed,
    Disconnected,
    LoginFailed,
    LoginFault,
    ProtocolViolation,
    Refused,
    TlsFailed,
    TlsFault,
)
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.redaction import without_secrets
from relate_relay.client.replies import ServerReply
from relate_relay.client.results import RecipientResult, Security
from relate_relay.client.stream import Stream, connect
from relate_relay.client.timeouts import DEFAULT_TIMEOUTS, GREETING, Timeouts
from relate_relay.client.transaction import Content, Transaction
from relate_wire.secret import Secret


async def open_connection(
    address: str,
    port: int,
    *,
    source: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    tls: ssl.SSLContext | None = None,
    server_hostname: str = "",
    observer: Observer = NO_OBSERVER,
) -> "Connection":
    """Connect to an IP address, from the address `source` if it is given. Raises ConnectFailed.

    With `tls` the handshake follows at once (RFC 8314 §3.3), for the name `server_hostname`. Raises TlsFailed.
    """
    with observer.connect(address, port) as step:
        try:
            stream = await connect(address, port, source, timeouts.connect_seconds)
        except ConnectFailed as failed:
            step.failed(str(failed))
            raise
    connection = Connection(stream, timeouts, observer)
    if tls is not None:
        await connection._handshake(tls, server_hostname)
    return connection


class Connection:
    """An open connection. One method runs at a time."""

    def __init__(self, stream: Stream, timeouts: Timeouts, observer: Observer) -> None:
        self.capabilities: Capabilities = NO_CAPABILITIES
        """Announced by the last EHLO: before TLS they are not authentic."""
        self.security = Security.NONE
        self._stream = stream
        self._timeouts = timeouts
        self._dialogue = Dialogue(stream, timeouts, observer)
        self._client_name = ""
        self._needs_reset = False

    @property
    def is_open(self) -> bool:
        """Whether the connection can be used."""
        return self._stream.is_open

    @property
    def is_secure(self) -> bool:
        """Whether TLS is active."""
        return self._stream.tls_object is not None

    @property
    def observer(self) -> Observer:
        """The observer of the next steps. It may be replaced, because each message has a trace of its own."""
        return self._dialogue.observer

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._dialogue.observer = observer

    async def greet(self, client_name: str) -> None:
        """Await the greeting, then send EHLO, or HELO if that is refused permanently (RFC 5321 §3.1, §3.2).

        `client_name` is the name of this host, or an address literal (§4.1.1.1). Raises Refused, Disconnected,
        ProtocolViolation.
        """
        with self._aborting():
            reply = await self._dialogue.reply_to(GREETING)
            if not reply.is_positive:
                raise Refused(GREETING, reply)
            self._client_name = client_name
            await self._say_hello()

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Send STARTTLS, perform the handshake, send EHLO again (RFC 3207 §4).

        Raises Refused if the server refuses STARTTLS; the connection is then open, without TLS. Raises TlsFailed,
        Disconnected, ProtocolViolation.
        """
        with self._aborting():
            reply = await self._dialogue.command(commands.STARTTLS)
            if not reply.is_positive:
                raise Refused("STARTTLS", reply)
            await self._handshake(context, server_hostname)
            self.capabilities = NO_CAPABILITIES
            await self._say_hello()

    async def log_in(self, user: str, password: Secret[str]) -> None:
        """Log in by AUTH PLAIN, else by AUTH LOGIN (RFC 4954). Raises LoginFailed, also without TLS.

        Raises Disconnected, ProtocolViolation; ValueError for a user or password that cannot be sent.
        """
        if not self.is_secure:
            raise LoginFailed(LoginFault.NO_TLS)
        offered = [name for name in LOGIN_MECHANISMS if name in self.capabilities.login_mechanisms]
        if not offered:
            raise LoginFailed(LoginFault.NO_MECHANISM)
        lines = commands.login(offered[0], user, password)
        with self._aborting():
            with self._dialogue.step("AUTH") as step:
                reply = await self._exchange(lines, password)
                step.replied(reply)
            if not reply.is_positive:
                raise LoginFailed(LoginFault.REFUSED, reply)

    async def send(self, envelope: Envelope, content: AsyncIterable[bytes]) -> list[RecipientResult]:
        """Send one message; returns the result of each recipient, in the order of the envelope.

        A lost connection is a result too. Raises ValueError for an address that cannot be sent, and what `content`
        raises: then the message was not sent. `content` is read at most once, and only if the server accepts it.
        """
        transaction = Transaction(envelope, self.capabilities)
        with self._aborting():
            try:
                await self._run(transaction, content)
            except (Disconnected, ProtocolViolation, Refused) as error:
                self.abort()
                transaction.fail(error)
        self._needs_reset = self._needs_reset or transaction.needs_reset
        return transaction.results()

    async def reset(self) -> None:
        """Send RSET, which shows whether the connection is alive. Raises Refused, Disconnected, ProtocolViolation."""
        with self._aborting():
            reply = await self._dialogue.command(commands.RSET)
            if not reply.is_positive:
                raise Refused("RSET", reply)
            self._needs_reset = False

    async def quit(self) -> None:
        """Send QUIT, then close. It does not fail, because the results of all messages are known."""
        with self._aborting():
            if self.is_open:
                with suppress(Disconnected, ProtocolViolation):
                    await self._dialogue.command(commands.QUIT)
            await self._stream.close(self._timeouts.quit_seconds)

    def abort(self) -> None:
        """Close at once, without QUIT."""
        self._stream.abort()

    async def _say_hello(self) -> None:
        reply = await self._dialogue.command(commands.hello("EHLO", self._client_name))
        if reply.is_positive:
            self.capabilities = parse_capabilities(reply)
            return
        if reply.is_permanent:  # RFC 5321 §3.2
            reply = await self._dialogue.command(commands.hello("HELO", self._client_name))
        if not reply.is_positive:
            raise Refused("EHLO", reply)

    async def _handshake(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Perform the TLS handshake. Raises TlsFailed."""
        with self.observer.tls() as step, self._aborting():
            try:
                if self._dialogue.has_input():  # from an attacker: they would be read as if TLS had protected them
                    raise TlsFailed(TlsFault.INJECTED)
                await self._stream.start_tls(
                    context, server_hostname, self._timeouts.tls_seconds, self._timeouts.quit_seconds
                )
            except TlsFailed as failed:
                step.failed(str(failed))
                raise
            version, cipher = self._stream.tls_parameters
            verified = context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
            self.security = Security.VERIFIED if verified else Security.UNVERIFIED
            self.observer.tls_established(version, cipher, verified)

    async def _exchange(self, lines: list[Secret[bytes]], password: Secret[str]) -> ServerReply:
        """Send each line of AUTH in answer to a challenge; returns the last reply."""
        words = {line.reveal().split()[-1].decode() for line in lines} - {*LOGIN_MECHANISMS}
        secrets = [password.reveal(), *words]
        for sent, line in enumerate(lines, start=1):
            self._dialogue.send("AUTH", line.reveal())
            reply = without_secrets(await self._dialogue.read_reply("AUTH"), secrets)
            if not reply.is_intermediate or sent == len(lines):
                break
        return reply

    async def _run(self, transaction: Transaction, content: AsyncIterable[bytes]) -> None:
        while (action := transaction.next_action()) is not None:
            if isinstance(action, Content):
                transaction.receive(await self._send_content(action, transaction, content))
                continue
            if self._needs_reset:
                await self.reset()
            self._dialogue.send(action[0].verb, *(command.octets for command in action))
            while verb := transaction.awaited:
                transaction.receive(await self._dialogue.reply_to(verb))

    async def _send_content(
        self, kind: Content, transaction: Transaction, content: AsyncIterable[bytes]
    ) -> ServerReply:
        with self._dialogue.step(kind.verb) as step:
            match kind:
                case Content.DATA:
                    reply = await send_data(self._dialogue, transaction, content)
                case Content.CHUNKS:
                    pipelining = self.capabilities.pipelining
                    reply = await send_chunks(self._dialogue, transaction, content, pipelining=pipelining)
                case Content.NOTHING:
                    self._dialogue.send(kind.verb, commands.FINAL_DOT)
                    reply = await self._dialogue.read_reply(kind.verb)
            step.replied(reply)
            return reply

    @contextmanager
    def _aborting(self) -> Iterator[None]:
        """Close the connection after an error or a cancellation, unless the server has only refused a command."""
        try:
            yield
        except (Refused, LoginFailed):
            raise
        except BaseException:
            self.abort()
            raise
