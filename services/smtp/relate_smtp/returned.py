"""Mail that comes back: what delivery reports of other servers tell of mail that users of this system have sent.

A report is delivered like any other mail; beside that, the event log and the suppression list learn of the failures
in it, as far as they can be matched with mail that was sent. An envelope identifier that we signed comes from a
server that was given our message (RFC 3461 §4.4): the failure is an event, and may list the address. Without one the
message is found by its Message-ID, which each of its readers knows: the failure is an event only. Either way this
very account must have sent the message to the recipient.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from relate_accounts.addresses import domain_of, find_canonical
from relate_mailstore.envelope_ids import verify_envelope
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.ports import EventLog
from relate_mailstore.suppression_types import Suppression, SuppressionSource, suppress_bounced
from relate_mailstore.types import AccountId
from relate_mime.delivery_reports import Action, DeliveryReport, ReportedRecipient

MAX_RECIPIENTS = 100
"""Failed recipients of a report that are looked up, as many as a transaction of ours has."""

SERVICE = "smtp"


class Told(NamedTuple):
    """What a report tells: events, and addresses that accept no mail."""

    events: tuple[Event, ...] = ()
    suppressions: tuple[Suppression, ...] = ()


class _Failure(NamedTuple):
    """A recipient that a report is about, the event of the message that was sent there, and its address there.

    `is_verified` means that the report has our envelope identifier.
    """

    reported: ReportedRecipient
    sent: Event
    address: str
    is_verified: bool


class ReportReader:
    """Reads the reports that a listener receives.

    `parse` reads a message without blocking; None if it is no report. `secret` is that of our envelope identifiers.
    """

    def __init__(
        self,
        events: EventLog,
        parse: Callable[[bytes], Awaitable[DeliveryReport | None]],
        secret: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._events = events
        self._parse = parse
        self._secret = secret

    async def read(self, message: bytes, address: str, account_id: AccountId, client: str, now: float) -> Told:
        """Read a message that may be a report, to an address of an account. `client` is the IP address that sent it.

        Raises StoreUnavailable, AccountsUnavailable.
        """
        report = await self._parse(message)
        failures = [] if report is None else await self._find_failures(report, account_id)
        entries = [_suppress(each, now) for each in failures]
        events = [
            _bounced(failure, entry, sender=address, client=client)
            for failure, entry in zip(failures, entries, strict=True)
        ]
        return Told(tuple(events), tuple(filter(None, entries)))

    async def _find_failures(self, report: DeliveryReport, account_id: AccountId) -> list[_Failure]:
        """The failures of recipients of messages that the account has sent."""
        failed = [each for each in report.recipients if each.action is Action.FAILED][:MAX_RECIPIENTS]
        secret = await self._secret() if report.envelope_id else b""
        by_message_id = EventQuery(
            EventName.QUEUED, header_message_id=report.header_message_id, account_id=account_id, limit=1
        )
        # One query for all recipients, so that a stranger who knows no Message-ID costs no more.
        is_known = report.header_message_id != "" and bool(await self._events.find(by_message_id))
        found: dict[str, _Failure] = {}
        for reported in failed:
            queries = [*_by_envelope_id(report.envelope_id, reported, account_id, secret)]
            if is_known:
                queries += [replace(by_message_id, recipient=address) for address in _addresses(reported)]
            failure = await self._find(reported, queries)
            if failure is not None:
                found.setdefault(failure.address.casefold(), failure)
        return [*found.values()]

    async def _find(self, reported: ReportedRecipient, queries: list[EventQuery]) -> _Failure | None:
        for query in queries:
            for sent in await self._events.find(query):
                return _Failure(reported, sent, query.recipient or "", query.message_id is not None)
        return None


def _addresses(reported: ReportedRecipient) -> list[str]:
    """The addresses of a recipient, that of the envelope first, if it is given."""
    return [*dict.fromkeys(filter(None, (reported.original_recipient, reported.recipient)))]


def _by_envelope_id(
    envelope_id: str, reported: ReportedRecipient, account_id: AccountId, secret: bytes
) -> Iterator[EventQuery]:
    """The queries for the message that our envelope identifier names, if it is ours and for this destination."""
    for address in _addresses(reported) if envelope_id else ():
        domain = domain_of(find_canonical(address) or "")
        message_id = verify_envelope(secret, envelope_id, account_id, domain)
        if message_id is not None:
            yield EventQuery(EventName.QUEUED, message_id=message_id, recipient=address, account_id=account_id, limit=1)


def _suppress(failure: _Failure, now: float) -> Suppression | None:
    """The entry of the suppression list; None if the failure is unverified, or of an address that was forwarded to."""
    reported, address = failure.reported, find_canonical(failure.address)
    is_final = reported.recipient == "" or find_canonical(reported.recipient) == address
    if not (failure.is_verified and is_final):
        return None
    return suppress_bounced(address, SuppressionSource.REPORT, reported.status, _reply(reported), now)


def _bounced(failure: _Failure, entry: Suppression | None, sender: str, client: str) -> Event:
    return Event(
        EventName.BOUNCED,
        account_id=failure.sent.account_id,
        message_id=failure.sent.message_id,
        header_message_id=failure.sent.header_message_id,
        sender=sender,
        recipient=failure.address,
        client=client,
        service=SERVICE,
        reply=_reply(failure.reported),
        detail={
            "status": failure.reported.status,
            "matched": "envelope_id" if failure.is_verified else "message_id",
            "suppressed": entry is not None,
        },
    )


def _reply(reported: ReportedRecipient) -> str:
    """The diagnostic, without the type of a reply of SMTP (RFC 3464 §2.3.6)."""
    code_type, semicolon, text = reported.diagnostic.partition(";")
    return text.strip() if semicolon and code_type.strip().lower() == "smtp" else reported.diagnostic
