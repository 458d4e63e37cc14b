"""Why a destination, or one of its servers, cannot be reached. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from relate_relay.client.errors import ClientError
from relate_relay.client.replies import ServerReply
from relate_relay.routing.endpoints import Endpoint
from relate_relay.routing.unroutable import Unroutable


@dataclass(frozen=True, slots=True)
class Failure:
    """The enhanced code (RFC 3463), one printable line, whether another attempt may succeed, and the server if any."""

    status: str
    text: str
    temporary: bool
    endpoint: Endpoint | None = None
    reply: ServerReply | None = None


def unroutable(reason: Unroutable) -> Failure:
    """The failure of a domain that has no server."""
    return Failure(reason.enhanced, reason.text, reason.temporary)


def failed_connection(error: ClientError, endpoint: Endpoint) -> Failure:
    """The failure of a connection to a server."""
    return Failure(error.status, str(error), error.temporary, endpoint, getattr(error, "reply", None))


def decisive(failures: Sequence[Failure]) -> Failure:
    """Of the failures of all servers of a destination, the last; but a temporary one before a permanent one.

    A server that refuses the session with 5yz may be misconfigured, and another server of the domain is only away.
    """
    return next((each for each in reversed(failures) if each.temporary), failures[-1])
