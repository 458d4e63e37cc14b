"""One HTTP request to a server that others may have named: a webhook, a push service, a policy host, an issuer's keys.

The host's name is resolved here, its addresses are checked, and the connection goes to a checked address, with the
name in SNI, in the certificate's check and in the Host field. So a name whose addresses change between check and use
(DNS rebinding) cannot reach an inner service. No redirect is followed, no proxy and no cache is used, no compressed
content is accepted; time and size are limited.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import NamedTuple

import httpx

from relate_outbound.addresses import IPAddress, PrivateDestinations

CONNECT_SECONDS = 10.0
"""The time for one connection, so that a dead address leaves time for the next."""
MAX_ADDRESSES_ITEMS = 4
"""The addresses of a host that one request tries."""
MAX_URL_CHARACTERS = 2_048
MAX_PORT_NUMBER = 65_535


class Fault(Enum):
    """Why there is no response."""

    URL = "the URL is not one that requests may go to"
    ADDRESS = "the host has no address that requests may go to"
    CONNECTION = "the connection failed"
    CERTIFICATE = "the host's certificate is not valid"
    TIMEOUT = "the host took too long"
    SIZE = "the response is too long"
    ENCODING = "the response is compressed"

    @property
    def is_refusal(self) -> bool:
        """Whether the request was not sent because of its URL or address; all other faults may go away."""
        return self in (Fault.URL, Fault.ADDRESS)


class OutboundError(Exception):
    """There is no response; `fault` says why. The message has neither the URL nor what the host sent."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Response(NamedTuple):
    """A response with any status; the names of `fields` are in lower case."""

    status: int
    fields: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: the size of the response's content, and the time over all addresses."""

    octets: int = 64 * 1024
    seconds: float = 10.0


DEFAULT_LIMITS = Limits()

_FIELDS: Mapping[str, str] = {"Accept-Encoding": "identity", "User-Agent": "Relate-Mail"}

Resolve = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""The addresses of a host name. Raises OSError if there are none."""


async def resolve_by_system(host: str) -> Sequence[IPAddress]:
    """The addresses that the system's resolver knows. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


class _Request(NamedTuple):
    method: str
    target: httpx.URL
    fields: Mapping[str, str]
    content: bytes

    def to(self, client: httpx.AsyncClient, address: IPAddress) -> httpx.Request:
        """The request to one address of the target's host, under its name."""
        return client.build_request(
            self.method,
            self.target.copy_with(host=str(address)),
            headers=dict(self.fields),
            content=self.content,
            extensions={"sni_hostname": _host(self.target)},
        )


class OutboundClient:
    """Sends requests by HTTPS. `context` verifies certificates, by default against the system's authorities.

    With `plaintext_loopback` a URL may have the scheme http, if every address of its host is of this machine: no
    other machine can answer there.
    """

    def __init__(
        self,
        *,
        private: PrivateDestinations = PrivateDestinations.REFUSE,
        plaintext_loopback: bool = False,
        resolve: Resolve = resolve_by_system,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._private = private
        self._plaintext_loopback = plaintext_loopback
        self._resolve = resolve
        self._context = context or ssl.create_default_context()

    async def get(self, url: str, *, limits: Limits = DEFAULT_LIMITS) -> Response:
        """GET a URL. Raises OutboundError."""
        return await self.send("GET", url, limits=limits)

    async def send(
        self,
        method: str,
        url: str,
        *,
        fields: Mapping[str, str] | None = None,
        content: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
    ) -> Response:
        """Send a request, to the next address only if there was no connection to one. Raises OutboundError."""
        target = _parse(url)
        try:
            async with asyncio.timeout(limits.seconds):
                addresses = await self._addresses(target)
                request = _Request(
                    method, target, {**_FIELDS, **(fields or {}), "Host": target.netloc.decode()}, content
                )
                return await self._send(request, addresses, limits)
        except TimeoutError:
            raise OutboundError(Fault.TIMEOUT) from None

    async def _addresses(self, target: httpx.URL) -> Sequence[IPAddress]:
        """The addresses that the request may go to. Raises OutboundError if there are none."""
        host = _host(target)
        try:
            found = [ipaddress.ip_address(host)]
        except ValueError:
            try:
                found = list(await self._resolve(host))
            except (OSError, UnicodeError):
                raise OutboundError(Fault.ADDRESS) from None
        if target.scheme == "http" and not (self._plaintext_loopback and all(each.is_loopback for each in found)):
            raise OutboundError(Fault.URL)
        permitted = list(islice(filter(self._private.permits, found), MAX_ADDRESSES_ITEMS))
        if not permitted:
            raise OutboundError(Fault.ADDRESS)
        return permitted

    async def _send(self, request: _Request, addresses: Sequence[IPAddress], limits: Limits) -> Response:
        timeout = httpx.Timeout(limits.seconds, connect=min(CONNECT_SECONDS, limits.seconds))
        fault = Fault.CONNECTION
        # trust_env: a proxy of the environment would connect to addresses that were not checked.
        async with httpx.AsyncClient(verify=self._context, trust_env=False, timeout=timeout) as client:
            for address in addresses:
                try:
                    return await _exchange(client, request.to(client, address), limits.octets)
                except (httpx.ConnectError, httpx.ConnectTimeout, OSError) as error:
                    fault = Fault.CERTIFICATE if _is_certificate_error(error) else Fault.CONNECTION
                except httpx.TimeoutException:
                    raise OutboundError(Fault.TIMEOUT) from None
                except httpx.HTTPError:
                    raise OutboundError(Fault.CONNECTION) from None
        raise OutboundError(fault)


def _parse(url: str) -> httpx.URL:
    """Parse a URL without user and password. Raises OutboundError."""
    try:
        parsed = httpx.URL(url[: MAX_URL_CHARACTERS + 1])
    except httpx.InvalidURL:
        raise OutboundError(Fault.URL) from None
    is_web = parsed.scheme in ("https", "http") and bool(parsed.host)
    has_port = parsed.port is None or 0 < parsed.port <= MAX_PORT_NUMBER
    if len(url) > MAX_URL_CHARACTERS or not (is_web and has_port) or parsed.userinfo:
        raise OutboundError(Fault.URL)
    return parsed


def _host(url: httpx.URL) -> str:
    """The host in A-labels, or as an address without brackets."""
    return url.raw_host.decode("ascii")


async def _exchange(client: httpx.AsyncClient, request: httpx.Request, max_octets: int) -> Response:
    """Send a request and read the response. Raises OutboundError, httpx.HTTPError, OSError."""
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise OutboundError(Fault.ENCODING)
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > max_octets:
                raise OutboundError(Fault.SIZE)
    finally:
        await response.aclose()
    return Response(response.status_code, dict(response.headers), bytes(content))


def _is_certificate_error(error: BaseException) -> bool:
    """Whether the certificate was refused: httpx has one error for that and for a closed port, with the cause in it."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
