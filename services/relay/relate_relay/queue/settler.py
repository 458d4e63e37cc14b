"""Stores the results of an attempt in one transaction: the queue's rows, the reports to the sender, and the events."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import structlog

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.event_rules import of_own_message
from relate_mailstore.event_types import Event
from relate_mailstore.ports import QueueStore
from relate_mailstore.queue_types import Claimed
from relate_mailstore.types import Delivery, Destination
from relate_relay.attempt.sender import Result
from relate_relay.queue.events import SERVICE, Attempted, events_of
from relate_relay.queue.rules import Rules
from relate_relay.queue.settlement import Moment, Settled, settle
from relate_relay.reports.report import make_report
from relate_relay.reports.rules import report_due
from relate_relay.reports.types import DeliveryResult, Report, ReportedMessage
from relate_supervisor import Supervisor

log = structlog.get_logger(__name__)

STORE_RETRY_SECONDS = 1.0  # while the store is unavailable


class Settler:
    """Decides what results mean, and stores that."""

    def __init__(self, queue: QueueStore, rules: Rules, supervisor: Supervisor) -> None:
        self._queue = queue
        self._rules = rules
        self._supervisor = supervisor

    async def settle(
        self, recipients: Sequence[Claimed], results: Sequence[Result], attempted: Attempted | None
    ) -> Sequence[Settled]:
        """Store the results of recipients of one message; `attempted` is None if there was no attempt.

        However long the store is away: another attempt would be a second copy. A lost lease means that another runner
        has claimed the recipient: its own result counts.
        """
        moment = Moment(self._rules.now(), self._rules.random)
        settled = [
            settle(claimed, result, self._rules.schedule, moment, attempted.trace_id if attempted else claimed.trace)
            for claimed, result in zip(recipients, results, strict=True)
        ]
        events = [
            [*events_of(claimed, result, each.result, attempted)]
            for claimed, result, each in zip(recipients, results, settled, strict=True)
        ]
        first, takes_reports = recipients[0], True
        waiting = [*zip(settled, events, strict=True)]
        while waiting:
            try:
                reports = await self._reports(first, [each for each, _ in waiting]) if takes_reports else []
                lost = await self._store(waiting, reports)
            except StoreUnavailable:
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except StoreError as refused:  # the sender's mailbox takes no report: it is full, or gone
                log.warning("report not stored", error=type(refused).__name__)
                takes_reports = False
            else:
                if lost:
                    log.warning("lease lost", destination=first.domain, recipients=len(lost))
                waiting = [each for each in waiting if each[0].result.lease not in lost] if lost else []
        return settled

    async def _store(
        self, waiting: Sequence[tuple[Settled, Sequence[Event]]], reports: Sequence[Delivery]
    ) -> Sequence[object]:
        results = [each.result for each, _ in waiting]
        return await self._queue.settle(results, reports, [event for _, events in waiting for event in events])

    async def _reports(self, first: Claimed, settled: Sequence[Settled]) -> list[Delivery]:
        """The report that is due; none if it cannot be made, because the results count more."""
        told = [each.told for each in settled if each.told is not None]
        if not told:
            return []
        try:
            raw = await (await self._queue.open(first.message_id)).read()
            report = await asyncio.to_thread(self._due, first, raw, told)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - reported
            self._supervisor.report("relay.connection", error)
            return []
        if report is None:
            return []
        events = of_own_message(first.account_id, first.sender, SERVICE, len(report))
        return [Delivery(report, (Destination(first.account_id),), events=events)]

    def _due(self, first: Claimed, raw: bytes, told: Sequence[DeliveryResult]) -> bytes | None:
        """In a thread, because a message may have a header of megabytes."""
        expires_at = first.arrived + self._rules.schedule.max_age_seconds
        message = ReportedMessage(
            first.sender, True, raw, first.size, first.arrived, expires_at, first.ret, first.envid
        )
        report: Report | None = report_due(message, told)
        if report is None:
            return None
        name, now = self._rules.server_name, self._rules.now()
        return make_report(report, server_name=name, report_id=uuid4().hex, now=now)
