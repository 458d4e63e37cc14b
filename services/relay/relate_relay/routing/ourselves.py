"""The names and addresses of this system, so that it does not send mail to itself (RFC 5321 §5.1). Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from relate_outbound.dns.names import IPAddress, to_ascii

OwnEndpoint = tuple[IPAddress, int]
"""An address and port at which this system receives mail."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """The names of this system in A-labels, and its endpoints.

    A server that listens on all addresses has an endpoint for each address of the machine, and for the addresses that a
    port is forwarded from.
    """

    names: frozenset[str] = frozenset()
    endpoints: frozenset[OwnEndpoint] = frozenset()

    @classmethod
    def known_as(cls, names: Collection[str], endpoints: Collection[OwnEndpoint] = ()) -> "Ourselves":
        """Convert `names` to A-labels; a name that is no domain, such as an address literal, is ignored."""
        return cls(frozenset(filter(None, map(to_ascii, names))), frozenset(endpoints))
