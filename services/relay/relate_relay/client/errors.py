"""The errors of a connection to another server.

Each has `temporary`, which says whether a later attempt may succeed, and `status`, an enhanced code for reports
(RFC 3463). Their texts are one printable line without secrets.
"""

from enum import Enum

from relate_mime.printable import printable
from relate_relay.client.replies import ServerReply, Violation


class ClientError(Exception):
    """A connection failed, or the server refused a command that concerns no recipient."""

    temporary = True
    status = "4.4.0"


class ConnectFault(Enum):
    """Why there is no connection."""

    REFUSED = "connection refused"
    TIMEOUT = "connection timed out"
    UNREACHABLE = "host unreachable"
    RESET = "connection reset"


class ConnectFailed(ClientError):
    """The TCP connection could not be opened."""

    status = "4.4.1"

    def __init__(self, reason: ConnectFault, address: str, port: int) -> None:
        super().__init__(f"{reason.value}: {printable(address)} port {port}")
        self.reason = reason


class TlsFault(Enum):
    """Why a TLS handshake failed."""

    CERTIFICATE = "the certificate is not valid for this server"
    PROTOCOL = "the TLS handshake failed"
    TIMEOUT = "the TLS handshake timed out"
    CLOSED = "the server closed the connection during the TLS handshake"
    INJECTED = "the server sent octets before the TLS handshake"


class TlsFailed(ClientError):
    """TLS could not be started; the connection is closed. `detail` is OpenSSL's reason, empty without one.

    `verify_code` is OpenSSL's code for a certificate that is not valid, 0 without one.
    """

    status = "4.7.5"

    def __init__(self, reason: TlsFault, detail: str = "", verify_code: int = 0) -> None:
        super().__init__(f"{reason.value}: {printable(detail)}" if detail else reason.value)
        self.reason = reason
        self.verify_code = verify_code


class ProtocolViolation(ClientError):
    """The server violated the protocol, so the connection is closed. `command` is the verb that was to be answered."""

    status = "4.5.0"

    def __init__(self, reason: Violation, command: str) -> None:
        super().__init__(f"{reason.value} ({command})")
        self.reason = reason
        self.command = command


class DisconnectFault(Enum):
    """How a connection was lost."""

    CLOSED = "the server closed the connection"
    RESET = "the connection was reset"
    TIMEOUT = "the server did not answer in time"
    STALLED = "the server did not read in time"


class Disconnected(ClientError):
    """The connection was lost before the reply to `command`, a verb."""

    status = "4.4.2"

    def __init__(self, reason: DisconnectFault, command: str) -> None:
        super().__init__(f"{reason.value} ({command})")
        self.reason = reason
        self.command = command


class Refused(ClientError):
    """The server refused the session or a command outside of a mail transaction; the connection can be quit."""

    def __init__(self, command: str, reply: ServerReply) -> None:
        super().__init__(f"{command} refused: {reply}")
        self.command = command
        self.reply = reply
        self.temporary = not reply.is_permanent
        self.status = reply.enhanced or ("4.3.0" if self.temporary else "5.3.0")


class LoginFault(Enum):
    """Why a login failed."""

    REFUSED = "login refused"
    NO_TLS = "a login requires TLS"
    NO_MECHANISM = "the server offers neither AUTH PLAIN nor AUTH LOGIN"


class LoginFailed(ClientError):
    """The login failed. It is temporary even if the reply is not, because an administrator can correct the settings."""

    status = "4.7.8"

    def __init__(self, reason: LoginFault, reply: ServerReply | None = None) -> None:
        super().__init__(f"{reason.value}: {reply}" if reply is not None else reason.value)
        self.reason = reason
        self.reply = reply
