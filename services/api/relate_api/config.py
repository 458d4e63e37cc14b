"""Settings of the API: `Api__Port` and its like."""

from typing import ClassVar

from pydantic import Field

from relate_config import Section


class ApiSettings(Section):
    """Where the API listens. TLS is a reverse proxy's business."""

    prefix: ClassVar[str] = "Api"

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
