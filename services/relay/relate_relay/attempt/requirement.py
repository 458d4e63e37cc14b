"""What a destination requires of TLS: by the administrator's rule, else by its MTA-STS policy, else nothing. Pure."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from relate_relay.client.errors import ClientError
from relate_relay.routing.mta_sts import Mode, Policy
from relate_relay.routing.tls_policy import DEFAULT_LEVEL, TlsLevel


class TlsUnavailable(ClientError):
    """The server does not offer TLS, or is not named by the MTA-STS policy, and the destination requires it."""

    status = "4.7.4"


def _opportunistic() -> ssl.SSLContext:
    """A context that accepts any certificate: without TLS the mail would be sent in plaintext (RFC 7435 §3)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Contexts:
    """The contexts of handshakes: with any certificate, and with a valid one for the name of the server."""

    opportunistic: ssl.SSLContext = field(default_factory=_opportunistic)
    verifying: ssl.SSLContext = field(default_factory=ssl.create_default_context)


@dataclass(frozen=True, slots=True)
class Requirement:
    """The level, and the policy that names the servers to which mail may be sent, None without one.

    With `is_tested`, mail is sent also where the policy is not met (RFC 8461 §5), but that is tried first.
    """

    level: TlsLevel
    policy: Policy | None = None
    is_tested: bool = False

    def refuses(self, host: str) -> bool:
        """Whether mail must not be sent to a host, because the policy does not name it."""
        return self.policy is not None and not self.is_tested and not self.policy.matches(host)

    def handshakes(self, contexts: Contexts, host: str) -> Sequence[ssl.SSLContext | None]:
        """The handshakes to try with a host, in order, each on a connection of its own; None is plaintext."""
        match self.level:
            case TlsLevel.NONE:
                return (None,)
            case TlsLevel.MAY if self.is_tested and self.policy is not None and self.policy.matches(host):
                return contexts.verifying, contexts.opportunistic, None
            case TlsLevel.MAY:
                return contexts.opportunistic, None
            case TlsLevel.REQUIRE:
                return (contexts.opportunistic,)
            case TlsLevel.VERIFY:
                return (contexts.verifying,)


def requirement(rule: TlsLevel | None, policy: Policy | None) -> Requirement:
    """The requirement of a destination. An administrator's rule wins over the policy."""
    if rule is not None:
        return Requirement(rule)
    if policy is None or policy.mode is Mode.NONE:
        return Requirement(DEFAULT_LEVEL)
    if policy.mode is Mode.ENFORCE:
        return Requirement(TlsLevel.VERIFY, policy)
    return Requirement(TlsLevel.MAY, policy, is_tested=True)
