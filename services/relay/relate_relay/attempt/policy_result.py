"""What became of an MTA-STS policy in a session, in the words of TLS-RPT (RFC 8460 §4.3). Pure."""

from enum import Enum

from relate_relay.attempt.requirement import TlsUnavailable
from relate_relay.client.errors import ClientError, Refused, TlsFailed, TlsFault
from relate_relay.client.observer import Observer
from relate_relay.client.results import Security
from relate_relay.routing.mta_sts import Lookup, Policy

# OpenSSL's codes X509_V_ERR_CERT_HAS_EXPIRED, …_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH; 0: it has verified nothing
_EXPIRED_CODES = (10,)
_OTHER_NAME_CODES = (0, 62, 64)

UNKNOWN_MODE = "unknown"
"""The mode of a policy that was not obtained."""


class TlsResult(Enum):
    """Success, or a result type of TLS-RPT."""

    SUCCESS = "success"
    NO_STARTTLS = "starttls-not-supported"
    OTHER_NAME = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    FAILED = "validation-failure"


class PolicySession:
    """Tells an observer what became of the policy in a session with a server; nothing without a policy."""

    def __init__(self, policy: Policy | None, host: str, observer: Observer) -> None:
        self._policy = policy
        self._host = host
        self._observer = observer

    def tell(self, outcome: Security | ClientError) -> None:
        """Tell the outcome of a handshake: the first decides, because it is the one that the policy requires."""
        policy, self._policy = self._policy, None
        result = None if policy is None else find_result(policy, self._host, outcome)
        if policy is not None and result is not None:
            self._observer.policy_applied(policy.mode.value, result.value)


def tell_fault(lookup: Lookup, observer: Observer) -> None:
    """Tell that a policy was not obtained; an older one may apply."""
    if lookup.fault is not None:
        mode = UNKNOWN_MODE if lookup.policy is None else lookup.policy.mode.value
        observer.policy_applied(mode, lookup.fault.value)


def find_result(policy: Policy, host: str, outcome: Security | ClientError) -> TlsResult | None:
    """The result of a session with a host; None if it ended before STARTTLS, for another reason."""
    result = _result_of_handshake(outcome)
    return result if result is None or policy.matches(host) else TlsResult.FAILED


def _result_of_handshake(outcome: Security | ClientError) -> TlsResult | None:
    match outcome:
        case Security.VERIFIED:
            return TlsResult.SUCCESS
        case Security() | TlsUnavailable() | Refused(command="STARTTLS"):
            return TlsResult.NO_STARTTLS
        case TlsFailed(reason=TlsFault.CERTIFICATE, verify_code=code):
            known = TlsResult.OTHER_NAME if code in _OTHER_NAME_CODES else TlsResult.NOT_TRUSTED
            return TlsResult.EXPIRED if code in _EXPIRED_CODES else known
        case TlsFailed():
            return TlsResult.FAILED
    return None
