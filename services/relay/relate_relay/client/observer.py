"""The interface through which each step of a connection is observed, for telemetry.

A step is a context manager, which is left when the result is known. Steps of a connection are not nested. Of commands
that were sent together, the first step begins when they are sent, any other when the reply before it was received.
Passwords are never passed to an observer.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from relate_relay.client.replies import ServerReply


class Step(Protocol):
    """A step whose result is told by at most one call. One without a call succeeded and had no reply."""

    def replied(self, reply: ServerReply) -> None:
        """Tell the server's reply, of any code."""

    def failed(self, reason: str) -> None:
        """Tell why there is no valid reply: the text of a `ClientError`."""


class Observer(Protocol):
    """Observes the steps of a connection."""

    def connect(self, address: str, port: int) -> AbstractContextManager[Step]:
        """Begin the TCP connection."""

    def tls(self) -> AbstractContextManager[Step]:
        """Begin the TLS handshake."""

    def tls_established(self, version: str, cipher: str, verified: bool) -> None:
        """Tell the result of a handshake, within its step.

        `version` is such as `1.3`, `cipher` OpenSSL's name; `verified` means that the server's name was verified.
        """

    def policy_applied(self, mode: str, result: str) -> None:
        """Tell what became of the domain's MTA-STS policy, between two steps: its mode, and a `TlsResult` or fault."""

    def command(self, verb: str) -> AbstractContextManager[Step]:
        """Begin a command; `verb` is from a fixed table.

        GREETING is the server's first reply. CONTENT is the content after DATA, up to its reply. AUTH has all its
        challenges, BDAT all chunks of a message.
        """


class _NoStep:
    def replied(self, reply: ServerReply) -> None:
        pass

    def failed(self, reason: str) -> None:
        pass


_NO_STEP: AbstractContextManager[Step] = nullcontext(_NoStep())


class NoObserver:
    """Observes nothing."""

    def connect(self, address: str, port: int) -> AbstractContextManager[Step]:
        """See `Observer`."""
        return _NO_STEP

    def tls(self) -> AbstractContextManager[Step]:
        """See `Observer`."""
        return _NO_STEP

    def tls_established(self, version: str, cipher: str, verified: bool) -> None:
        """See `Observer`."""

    def policy_applied(self, mode: str, result: str) -> None:
        """See `Observer`."""

    def command(self, verb: str) -> AbstractContextManager[Step]:
        """See `Observer`."""
        return _NO_STEP


NO_OBSERVER: Observer = NoObserver()
