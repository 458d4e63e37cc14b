"""What became of an MTA-STS policy, in the words of TLS-RPT (RFC 8460 §4.3)."""

import pytest

from relate_relay.attempt.policy_result import UNKNOWN_MODE, PolicySession, TlsResult, find_result, tell_fault
from relate_relay.attempt.requirement import TlsUnavailable
from relate_relay.client.errors import ClientError, ConnectFailed, ConnectFault, Refused, TlsFailed, TlsFault
from relate_relay.client.replies import ServerReply
from relate_relay.client.results import Outcome, Security
from relate_relay.dkim.signing_keys import Unsigned
from relate_relay.routing.mta_sts import Lookup, Mode, Policy, StsFault
from relate_telemetry import relay_names
from tests.support.relay.recording import RecordingObserver

HOST = "mx.there.test"
ENFORCED = Policy(Mode.ENFORCE, (HOST,), 3600)
TESTED = Policy(Mode.TESTING, (HOST,), 3600)
REFUSED = ConnectFailed(ConnectFault.REFUSED, "192.0.2.1", 25)


def refused(verb: str) -> Refused:
    return Refused(verb, ServerReply(454, "4.7.0", ("TLS not available",)))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Security.VERIFIED, TlsResult.SUCCESS),
        (Security.NONE, TlsResult.NO_STARTTLS),  # a tested policy: the message is sent without TLS
        (TlsUnavailable("x"), TlsResult.NO_STARTTLS),
        (refused("STARTTLS"), TlsResult.NO_STARTTLS),
        (refused("EHLO"), None),
        (REFUSED, None),
        (TlsFailed(TlsFault.CERTIFICATE, "certificate has expired", 10), TlsResult.EXPIRED),
        (TlsFailed(TlsFault.CERTIFICATE, "Hostname mismatch", 62), TlsResult.OTHER_NAME),
        (TlsFailed(TlsFault.CERTIFICATE, "IP address mismatch", 64), TlsResult.OTHER_NAME),
        (TlsFailed(TlsFault.CERTIFICATE, "its name is no host name"), TlsResult.OTHER_NAME),
        (TlsFailed(TlsFault.CERTIFICATE, "self-signed certificate", 18), TlsResult.NOT_TRUSTED),
        (TlsFailed(TlsFault.PROTOCOL), TlsResult.FAILED),
        (TlsFailed(TlsFault.TIMEOUT), TlsResult.FAILED),
    ],
)
def test_the_result_of_a_session(outcome: Security | ClientError, expected: TlsResult | None) -> None:
    assert find_result(ENFORCED, HOST, outcome) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(Security.UNVERIFIED, TlsResult.FAILED), (TlsUnavailable("x"), TlsResult.FAILED), (REFUSED, None)],
)
def test_a_server_that_the_policy_does_not_name(outcome: Security | ClientError, expected: TlsResult | None) -> None:
    assert find_result(TESTED, "other.there.test", outcome) is expected


def test_the_first_handshake_decides() -> None:
    observer = RecordingObserver()
    session = PolicySession(TESTED, HOST, observer)
    session.tell(TlsFailed(TlsFault.CERTIFICATE, "certificate has expired", 10))
    session.tell(Security.UNVERIFIED)  # the second handshake accepts any certificate
    assert observer.policies == [("testing", "certificate-expired")]


def test_nothing_is_told_without_a_policy() -> None:
    observer = RecordingObserver()
    PolicySession(None, HOST, observer).tell(Security.UNVERIFIED)
    tell_fault(Lookup(), observer)
    tell_fault(Lookup(ENFORCED), observer)
    assert observer.policies == []


def test_a_policy_that_was_not_obtained_has_the_mode_of_the_older_one() -> None:
    observer = RecordingObserver()
    tell_fault(Lookup(None, StsFault.FETCH_ERROR), observer)
    tell_fault(Lookup(ENFORCED, StsFault.INVALID), observer)
    assert observer.policies == [(UNKNOWN_MODE, "sts-policy-fetch-error"), ("enforce", "sts-policy-invalid")]


def test_the_tables_of_values_are_those_of_the_code() -> None:
    assert relay_names.STS_RESULTS.keys() == {each.value for each in TlsResult}
    assert relay_names.STS_FAULTS.keys() == {each.value for each in StsFault}
    assert relay_names.STS_MODES.keys() == {Mode.ENFORCE.value, Mode.TESTING.value, UNKNOWN_MODE}
    assert relay_names.TLS_SECURITIES.keys() == {each.value for each in Security}
    assert relay_names.UNSIGNED_REASONS.keys() == {each.value for each in Unsigned}
    assert relay_names.OUTCOMES.keys() == {each.value for each in Outcome} | {"mixed"}
