"""Settings of the API (`Api__Port` etc.) and of logins (`Oidc__…`); those of all services are in `relate_wire`."""

from typing import ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from relate_config import Section
from relate_outbound.addresses import PrivateDestinations
from relate_wire.config import ServiceSettings

SERVICE: Final = "api"
"""The service's name in telemetry, in the event log and for its certificate."""

# Per process. A partly received request buffers up to 320 KB (64 KB of body, and 256 KB of one read beyond it), so that
# this many use at most 320 MB.
MAX_CONNECTIONS = 1_000
# Half of the mail protocols' limit, so that ten addresses are needed to use all connections.
MAX_CONNECTIONS_PER_ADDRESS = 100
# Per process: half of the connections, so that clients that only listen leave the others to requests.
MAX_STREAMS = 500

# Twenty a second: more than a person causes, and less than a program in a loop.
REQUESTS_PER_MINUTE = 1_200


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
    requests_per_minute: int = Field(default=REQUESTS_PER_MINUTE, ge=0)
    """Of each key, in each process; 0 is no limit."""
    max_streams: int = Field(default=MAX_STREAMS, ge=0)
    """Open streams of `/api/events`, per process; each has a connection."""
    webhook_private_destinations: PrivateDestinations = PrivateDestinations.REFUSE
    """Whether webhooks and push services may be at addresses that are not globally routable. Users choose the URLs."""
    push_contact: str = Field(default="", pattern=r"^((mailto:|https:/{2})[!-~]+)?$", max_length=500)
    """The URL at which push services reach the operator of this server; without it, its postmaster."""


class PageSettings(Section):
    """The section `Page`: when the sessions of people who have signed in with a browser end."""

    prefix: ClassVar[str] = "Page"

    idle_minutes: int = Field(default=720, ge=1, le=43_200)
    """Without a request; what refreshes itself is none."""
    absolute_hours: int = Field(default=720, ge=1, le=8_760)
    """After the sign-in, whatever the session is used for."""


_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class OidcSettings(Section):
    """The section `Oidc`: the issuer of the tokens that the API accepts beside keys; without an authority, none.

    With `client_id` and `redirect_uri`, which is `/sign-in/callback` of this server, people sign in to the page. The
    API shows them and `scope` to other web clients, and never the secret.
    """

    prefix: ClassVar[str] = "Oidc"

    authority: str = ""
    """The issuer's URL, below which its discovery document is (OpenID Connect Discovery §4)."""
    audience: str = ""
    """The `aud` of tokens for this API."""
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    scope: str = "openid profile email"
    redirect_uri: str = ""

    @field_validator("authority")
    @classmethod
    def _is_https(cls, authority: str) -> str:
        url = urlsplit(authority)
        has_more = bool(url.query or url.fragment or url.username or url.password)
        if authority and (not url.hostname or has_more):
            raise ValueError("a URL without query, such as https://id.example.org")
        if authority and url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK_HOSTS):
            raise ValueError("the scheme is https; http only for an issuer on this machine")
        return authority

    @model_validator(mode="after")
    def _has_audience(self) -> Self:
        # A token for another service of the same issuer would be accepted.
        if self.authority and not self.audience:
            raise ValueError("Oidc__Audience is missing: tokens must be for this API")
        return self

    @property
    def is_enabled(self) -> bool:
        """Whether tokens are accepted."""
        return bool(self.authority)

    @property
    def signs_people_in(self) -> bool:
        """Whether people sign in to the page by the issuer."""
        return bool(self.authority and self.client_id and self.redirect_uri)


class CorsSettings(Section):
    """The section `Cors`: the origins of web pages that may call the API from a browser, each exactly as it is sent.

    `Cors__AllowedOrigins=https://mail.example.org,https://admin.example.org`, or one variable for each:
    `Cors__AllowedOrigins__0`.
    """

    prefix: ClassVar[str] = "Cors"

    allowed_origins: tuple[str, ...] = ()

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            url = urlsplit(origin)
            if url.scheme not in ("https", "http") or not url.hostname or origin != f"{url.scheme}://{url.netloc}":
                raise ValueError("an origin has a scheme and a host, and no path: https://mail.example.org")
        return origins
