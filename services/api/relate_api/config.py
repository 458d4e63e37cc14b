"""Settings of the API: `Api__Port` and its like. What all services share is in `relate_wire`."""

from typing import ClassVar

from pydantic import Field

from relate_wire.config import ServiceSettings

# In one process. A request that is half received holds up to 350 KB (an octet a connection costs 20 KB), so this many
# are 350 MB at the most.
MAX_CONNECTIONS = 1_000


class ApiSettings(ServiceSettings):
    """What the environment says about the API. Ports: 0 lets the system choose.

    `trusted_proxies` are believed about their clients by `Forwarded` and `X-Forwarded-*`.
    """

    prefix: ClassVar[str] = "Api"

    port: int = Field(default=8080, ge=0, le=65_535)
    secure_port: int = Field(default=8443, ge=0, le=65_535)
    """TLS from the first octet."""
    max_connections: int = MAX_CONNECTIONS
