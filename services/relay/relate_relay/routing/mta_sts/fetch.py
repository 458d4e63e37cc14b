"""Fetches a policy by HTTPS (RFC 8461 §3.3).

The policy host's name is resolved here, its addresses are checked, and the connection goes to a checked address, with
the name in SNI, in the certificate's check and in the Host field. So a name whose addresses change between check and
use (DNS rebinding) cannot reach an inner service. No redirect is followed, no proxy and no cache is used.
"""

import asyncio
import ssl
from collections.abc import Iterator
from itertools import islice

import httpx

from relate_relay.routing.mta_sts.policy import MAX_POLICY_OCTETS, Policy, StsFault, parse_policy
from relate_relay.routing.names import IPAddress
from relate_relay.routing.ports import Dns, DnsError
from relate_relay.routing.private import PrivateDestinations

FETCH_SECONDS = 60.0
"""The time for one fetch, over all addresses (RFC 8461 §3.3)."""
CONNECT_SECONDS = 10.0
"""The time for one connection, so that a dead address leaves time for the next."""
MAX_FETCH_ADDRESSES = 4
"""The addresses that one fetch tries."""
HTTPS_PORT = 443

_PATH = "/.well-known/mta-sts.txt"


class PolicyFetcher:
    """Fetches policies. `context` verifies the certificate, by default against the system's authorities."""

    def __init__(
        self,
        dns: Dns,
        *,
        private: PrivateDestinations = PrivateDestinations.REFUSE,
        context: ssl.SSLContext | None = None,
        port: int = HTTPS_PORT,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._dns = dns
        self._private = private
        self._context = context or ssl.create_default_context()
        self._port = port
        self._fetch_seconds = fetch_seconds

    async def fetch(self, domain: str) -> Policy | StsFault:
        """The policy of a domain in A-labels, or why it was not obtained."""
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(self._fetch_seconds):
                return await self._fetch_from(host, (await self._dns.addresses(host)).items)
        except (TimeoutError, DnsError):
            return StsFault.FETCH_ERROR

    async def _fetch_from(self, host: str, addresses: tuple[IPAddress, ...]) -> Policy | StsFault:
        """Try the permitted addresses until one accepts a connection."""
        fault = StsFault.FETCH_ERROR
        for address in islice(filter(self._private.permits, addresses), MAX_FETCH_ADDRESSES):
            try:
                return await self._get(host, address)
            except (httpx.HTTPError, OSError) as error:
                fault = StsFault.WEBPKI_INVALID if _is_certificate_error(error) else StsFault.FETCH_ERROR
        return fault

    async def _get(self, host: str, address: IPAddress) -> Policy | StsFault:
        """Get the policy from one address. Raises httpx.HTTPError and OSError."""
        url = httpx.URL(scheme="https", host=str(address), port=self._port, path=_PATH)
        timeout = httpx.Timeout(self._fetch_seconds, connect=min(CONNECT_SECONDS, self._fetch_seconds))
        # trust_env: a proxy of the environment would connect to addresses that were not checked.
        async with httpx.AsyncClient(verify=self._context, trust_env=False, timeout=timeout) as client:
            request = client.build_request(
                "GET",
                url,
                headers={"Host": host, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": host},
            )
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                if response.status_code != httpx.codes.OK or not _is_plain_text(response.headers):
                    return StsFault.FETCH_ERROR
                octets = await _read(response)
            finally:
                await response.aclose()
        policy = None if octets is None else parse_policy(octets)
        return StsFault.INVALID if policy is None else policy


def _is_plain_text(headers: httpx.Headers) -> bool:
    """Whether the media type is text/plain (§3.2), and the content is not compressed, which nothing here asked for."""
    media_type: str = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoding: str = headers.get("Content-Encoding", "identity").strip().lower()
    return media_type == "text/plain" and encoding == "identity"


async def _read(response: httpx.Response) -> bytes | None:
    """The content; None if it is longer than a policy may be."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_POLICY_OCTETS:
            return None
    return bytes(content)


def _is_certificate_error(error: BaseException) -> bool:
    """Whether the certificate was refused: httpx has one error for that and for a closed port, with the cause in it."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
