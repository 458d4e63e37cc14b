"""JSON schemas of the settings of mail programs and of their keys."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import FailFast, Field

from relate_accounts.keys import KEY_NAME_PATTERN, MAX_KEY_NAME_CHARACTERS
from relate_accounts.types import Scope
from relate_api.keys.schemas import KeyDetails
from relate_api.schemas import RequestModel, ResponseModel
from relate_wire.published import Endpoint


class Platform(StrEnum):
    """The system of a device."""

    IOS = "ios"
    ANDROID = "android"
    MACOS = "macos"
    WINDOWS = "windows"
    WEB = "web"


# With the platform in parentheses it is the name of a key.
MAX_DEVICE_NAME_CHARACTERS = MAX_KEY_NAME_CHARACTERS - len(f" ({max(Platform, key=len)})")


class ServiceInfo(ResponseModel):
    """Where a mail program reaches a service; a port is null if it cannot. STARTTLS in POP3 is its command STLS."""

    server: str
    port: int | None
    port_security: Literal["STARTTLS"] = "STARTTLS"
    secure_port: int | None
    secure_port_security: Literal["TLS"] = "TLS"
    enabled: bool

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """The schema of an endpoint."""
        return cls.model_validate(endpoint)


class ConnectionInfo(ResponseModel):
    """The settings of a mail program. The password is a key with the scope of the service."""

    smtp: ServiceInfo
    pop3: ServiceInfo
    imap: ServiceInfo
    username: str
    active_key_count: int


class Credentials(ResponseModel):
    """The settings of a mail program, and the user's keys, newest first, including revoked ones."""

    connection_info: ConnectionInfo
    keys: list[KeyDetails]


class NewCredentialRequest(RequestModel):
    """The key to create; without scopes it gets those of mail programs and of the API that the caller may grant."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME_CHARACTERS, pattern=KEY_NAME_PATTERN)]
    scopes: Annotated[list[Scope], FailFast(), Field(min_length=1, max_length=len(Scope), default_factory=list)]


class NewDeviceRequest(RequestModel):
    """The device whose app gets a key."""

    device_name: Annotated[str, Field(min_length=1, max_length=MAX_DEVICE_NAME_CHARACTERS, pattern=KEY_NAME_PATTERN)]
    platform: Platform
