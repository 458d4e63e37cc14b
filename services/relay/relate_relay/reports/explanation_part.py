"""The first part of a report: what people read (RFC 3464 §2.1, RFC 6522 §3)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relate_mime.writing.text import date_time, visible, wrap
from relate_relay.reports.parts import BodyPart, identity_part
from relate_relay.reports.types import DeliveryResult, Kind, Report
from relate_relay.reports.words import SUPPRESSED, Explanation, checked_status, explain

MAX_QUOTED_SUBJECT_OCTETS = 200
"""The longest subject of the original message that is quoted."""

_WHAT_HAPPENED = {
    Kind.FAILED: "Your message was not delivered to {}:",
    Kind.DELAYED: "Your message has not been delivered to {} yet:",
    Kind.RELAYED: "Your message was handed to the mail server of {}:",
    Kind.DELIVERED: "Your message was delivered to {}:",
}
_GOING_ON = "You need not do anything: we go on trying until {}, and tell you if we give up."


class _Cause(NamedTuple):
    """What recipients that are explained together have in common."""

    kind: Kind
    status: str
    remote_mta: str
    reply: str
    error: str
    is_suppressed: bool


def explanation_part(report: Report, listed: Sequence[DeliveryResult], subject: str, server_name: str) -> BodyPart:
    """What happened to the `listed` recipients, why, and what the sender can do. The other results are counted."""
    lines = [
        *(line for cause, addresses in _by_cause(listed) for line in _section(report, cause, addresses)),
        *_omitted(len(report.results) - len(listed)),
        *_identification(report, subject, server_name),
    ]
    return identity_part("text/plain; charset=utf-8", "".join(f"{line}\r\n" for line in lines).encode())


def _by_cause(results: Iterable[DeliveryResult]) -> Iterable[tuple[_Cause, list[str]]]:
    groups: dict[_Cause, list[str]] = {}
    for result in results:
        status = checked_status(result.kind, result.status)
        cause = _Cause(result.kind, status, result.remote_mta, result.reply, result.error, result.is_suppressed)
        groups.setdefault(cause, []).append(result.address)
    return groups.items()


def _section(report: Report, cause: _Cause, addresses: Sequence[str]) -> Iterator[str]:
    explanation = SUPPRESSED if cause.is_suppressed else explain(cause.kind, cause.status)
    recipients = "this recipient" if len(addresses) == 1 else f"these {len(addresses)} recipients"
    yield _WHAT_HAPPENED[cause.kind].format(recipients)
    yield ""
    yield from (f"    {visible(address)}" for address in addresses)
    yield ""
    yield from wrap(f"What happened: {explanation.sentence}")
    yield from _diagnosis(cause)
    yield ""
    yield from wrap(_remedy(report, cause.kind, explanation))
    yield ""


def _diagnosis(cause: _Cause) -> Iterator[str]:
    if cause.reply:
        server = f"The mail server {visible(cause.remote_mta)}" if cause.remote_mta else "The other mail server"
        yield ""
        yield from wrap(f"{server} replied:")
        yield from wrap(visible(cause.reply), "> ")
    elif cause.error:
        server = f" ({visible(cause.remote_mta)})" if cause.remote_mta else ""
        yield ""
        yield from wrap(f"Diagnosis{server}: {visible(cause.error)}")


def _remedy(report: Report, kind: Kind, explanation: Explanation) -> str:
    if kind is Kind.DELAYED:
        return _GOING_ON.format(date_time(report.message.expires_at))
    return f"What you can do: {explanation.remedy}" if kind is Kind.FAILED else explanation.remedy


def _omitted(count: int) -> Iterator[str]:
    if count:
        yield f"This report is also about {count:,} other recipients, which are not listed."
        yield ""


def _identification(report: Report, subject: str, server_name: str) -> Iterator[str]:
    if subject:
        yield from wrap(f"Subject of your message: {visible(subject, MAX_QUOTED_SUBJECT_OCTETS)}")
    yield f"Received from you: {date_time(report.message.arrived_at)}"
    yield f"This report is from the mail system {visible(server_name)}."
