"""Settings of the API (`Api__Port` etc.); those that all services share are in `relate_wire`."""

from typing import ClassVar

from pydantic import Field

from relate_outbound.addresses import PrivateDestinations
from relate_wire.config import ServiceSettings

# Per process. A partly received request buffers up to 320 KB (64 KB of body, and 256 KB of one read beyond it), so that
# this many use at most 320 MB.
MAX_CONNECTIONS = 1_000
# Half of the mail protocols' limit, so that ten addresses are needed to use all connections.
MAX_CONNECTIONS_PER_ADDRESS = 100
# Per process: half of the connections, so that clients that only listen leave the others to requests.
MAX_STREAMS = 500


class ApiSettings(ServiceSettings):
    """The section `Api` of the environment. Port 0 lets the system choose.

    `trusted_proxies`: networks whose `Forwarded` and `X-Forwarded-*` fields are trusted.
    """

    prefix: ClassVar[str] = "Api"

    port: int = Field(default=8080, ge=0, le=65_535)
    secure_port: int = Field(default=8443, ge=0, le=65_535)
    """Implicit TLS."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    max_streams: int = Field(default=MAX_STREAMS, ge=0)
    """Open streams of `/api/events`, per process; each has a connection."""
    webhook_private_destinations: PrivateDestinations = PrivateDestinations.REFUSE
    """Whether webhooks may be at addresses that are not globally routable. Users choose the URLs."""
