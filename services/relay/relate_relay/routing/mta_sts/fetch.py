"""Fetches a policy by HTTPS (RFC 8461 §3.3): from a checked address, without redirects, limited in time and size."""

import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.client import Fault, Limits, OutboundClient, OutboundError
from relate_outbound.dns.names import IPAddress
from relate_outbound.dns.ports import Dns, DnsError
from relate_relay.routing.mta_sts.policy import MAX_POLICY_OCTETS, Policy, StsFault, parse_policy

FETCH_SECONDS = 60.0
"""The time for one fetch, over all addresses (RFC 8461 §3.3)."""
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
        async def resolve(host: str) -> Sequence[IPAddress]:
            try:
                return (await dns.addresses(host)).items
            except DnsError as error:
                raise OSError("no address") from error

        self._client = OutboundClient(private=private, resolve=resolve, context=context)
        self._port = port
        self._limits = Limits(MAX_POLICY_OCTETS, fetch_seconds)

    async def fetch(self, domain: str) -> Policy | StsFault:
        """The policy of a domain in A-labels, or why it was not obtained."""
        try:
            response = await self._client.get(f"https://mta-sts.{domain}:{self._port}{_PATH}", limits=self._limits)
        except OutboundError as error:
            return _FAULTS.get(error.fault, StsFault.FETCH_ERROR)
        if response.status != HTTPStatus.OK or not _is_plain_text(response.fields):
            return StsFault.FETCH_ERROR
        policy = parse_policy(response.content)
        return StsFault.INVALID if policy is None else policy


_FAULTS = {Fault.CERTIFICATE: StsFault.WEBPKI_INVALID, Fault.SIZE: StsFault.INVALID}
"""All others are FETCH_ERROR."""


def _is_plain_text(fields: Mapping[str, str]) -> bool:
    """Whether the media type is text/plain (§3.2)."""
    return fields.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"
