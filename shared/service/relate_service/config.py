"""The settings of a process as a whole: `Limits__…`."""

from typing import ClassVar

from pydantic import Field

from relate_config import Section
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_wire.content_budget import CONTENT_OCTETS, MEBIBYTE


class LimitsSettings(Section):
    """What one process may use."""

    prefix: ClassVar[str] = "Limits"

    content_memory_bytes: int = Field(default=CONTENT_OCTETS, ge=MEBIBYTE)
    """Octets of messages that are being received, in all connections together (`relate_wire.content_budget`)."""

    cache_memory_bytes: int = Field(default=CACHE_OCTETS, ge=MIN_CACHE_OCTETS)
    """Octets of all caches together (`relate_config.cache_budget`)."""
