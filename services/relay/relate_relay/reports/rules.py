"""Which report is due for which recipient (RFC 3461 §5.2 and §6)."""

from collections.abc import Iterable

from relate_relay.reports.original import read_original
from relate_relay.reports.types import DeliveryResult, Kind, Report, ReportedMessage

MAX_RETURNED_OCTETS = 102_400
"""The largest message that a report returns as a whole; of larger ones it has the header (RFC 3461 §6.2)."""

DEFAULT_NOTIFY = "FAILURE,DELAY"
"""NOTIFY of a recipient without it (RFC 3461 §4.1)."""

_EVENTS = {Kind.FAILED: "FAILURE", Kind.DELAYED: "DELAY", Kind.RELAYED: "SUCCESS", Kind.DELIVERED: "SUCCESS"}


def report_due(message: ReportedMessage, results: Iterable[DeliveryResult]) -> Report | None:
    """Return the one report about the results that the sender requested; None if none is due.

    There is none for the null reverse-path (RFC 3461 §5.2), for mail that is not an authenticated submission, and for
    a message that is itself a report or an automatic reply (RFC 3834 §2), so that reports do not answer each other.
    """
    due = tuple(result for result in results if is_requested(result.kind, result.notify))
    if not due or not message.sender or not message.is_submission or read_original(message.content).is_automatic_reply:
        return None
    return Report(message, due)


def is_requested(kind: Kind, notify: str) -> bool:
    """Whether NOTIFY requests a report of this kind (RFC 3461 §5.2.2 to §5.2.6); `notify` is empty without it."""
    return _EVENTS[kind] in (notify or DEFAULT_NOTIFY).upper().split(",")


def kind_of_acceptance(*, announces_dsn: bool) -> Kind | None:
    """Return the kind of result where another server has accepted the message, by whether it announces DSN.

    None if it does, because then it writes the reports of success (RFC 3461 §5.2.1, §5.2.2).
    """
    return None if announces_dsn else Kind.RELAYED


def returns_content(message: ReportedMessage, kind: Kind) -> bool:
    """Whether a report of this kind returns the whole message (RFC 3461 §4.3, §6.2): then `content` must be complete.

    Only a report of a failure does, if RET=FULL requests it and the message has at most MAX_RETURNED_OCTETS.
    """
    return kind is Kind.FAILED and message.ret.upper() == "FULL" and message.size <= MAX_RETURNED_OCTETS
