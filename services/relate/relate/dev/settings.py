"""Settings of the developers' mode."""

from typing import ClassVar

from pydantic import Field

from relate_config import Section


class DevSettings(Section):
    """The section `Dev` of the environment."""

    prefix: ClassVar[str] = "Dev"

    enabled: bool = False
    """Whether `relate serve` is `relate dev`."""
    max_waiters: int = Field(default=500, ge=1)
    """Requests that wait for a message at the same time; each has a connection."""
