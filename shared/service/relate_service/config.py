"""Settings of the whole process: `Limits__…`."""

from typing import ClassVar

from pydantic import Field

from relate_config import Section
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_wire.content_budget import CONTENT_OCTETS, MEBIBYTE_OCTETS


class LimitsSettings(Section):
    """Resource limits of one process."""

    prefix: ClassVar[str] = "Limits"

    content_memory_bytes: int = Field(default=CONTENT_OCTETS, ge=MEBIBYTE_OCTETS)
    """Octets of all messages that are being received (`relate_wire.content_budget`)."""

    cache_memory_bytes: int = Field(default=CACHE_OCTETS, ge=MIN_CACHE_OCTETS)
    """Octets of all caches together (`relate_config.cache_budget`)."""
