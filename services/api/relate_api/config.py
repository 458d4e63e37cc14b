"""Settings of the API: `Api__Port` and its like. What all services share is in `relate_wire`."""

from typing import ClassVar

from pydantic import Field

from relate_wire.config import ServiceSettings

# In one process. A request that is half received holds up to 320 KB, 64 of its body and 256 that one read may bring
# beyond it, so these are 320 MB at the most.
MAX_CONNECTIONS = 1_000
# One client's share: with half of the mail protocols', ten addresses are needed to take all.
MAX_CONNECTIONS_PER_ADDRESS = 100


class ApiSettings(ServiceSettings):
    """What the environment says about the API. Ports: 0 lets the system choose.

    `trusted_proxies` are believed about their clients by `Forwarded` and `X-Forwarded-*`.
    """

    prefix: ClassVar[str] = "Api"

    port: int = Field(default=8080, ge=0, le=65_535)
    secure_port: int = Field(default=8443, ge=0, le=65_535)
    """TLS from the first octet."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
