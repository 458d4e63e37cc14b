"""Attempts a group of recipients: sends the message, notes whether the destination was reached, stores the results."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from relate_mailstore.envelope_ids import sign_envelope
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.ports import QueueStore, Suppressions
from relate_relay.attempt.message import SignedMessage
from relate_relay.attempt.sender import Result, Sender
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import Observer
from relate_relay.client.results import Outcome
from relate_relay.dkim.signing_keys import KeySource
from relate_relay.queue.connections import Group
from relate_relay.queue.destinations import Destinations
from relate_relay.queue.events import Attempted
from relate_relay.queue.rules import Rules
from relate_relay.queue.settler import Settler
from relate_relay.queue.suppression import SuppressionFilter
from relate_relay.traced import TracedAttempts
from relate_supervisor import Supervisor

log = structlog.get_logger(__name__)

ATTEMPT_SECONDS = 900.0


class Attempter:
    """Attempts groups, each with a result for each recipient."""

    def __init__(  # noqa: PLR0917 - what it composes
        self,
        queue: QueueStore,
        destinations: Destinations,
        attempts: TracedAttempts,
        keys: KeySource,
        suppressions: Suppressions,
        rules: Rules,
        supervisor: Supervisor,
    ) -> None:
        self._queue = queue
        self._destinations = destinations
        self._attempts = attempts
        self._keys = keys
        self._suppressions = SuppressionFilter(suppressions)
        self._rules = rules
        self._supervisor = supervisor
        self._settler = Settler(queue, rules, supervisor)

    async def attempt(self, sender: Sender, domain: str, group: Group, note_sent: Callable[[], None]) -> None:
        """Attempt a group, or put it off while its destination is suspended: a connection would only fail once more.

        `note_sent` is called when the sender can take the next group; then the results are stored.
        """
        reason = group[0].suspended or self._destinations.suspension(domain)
        if reason and not group[0].is_probe:
            await self._put_off(group, reason)
            return
        with self._attempts.attempt(domain, len(group), [group[0].origin]) as attempt:
            attempted = Attempted(self._rules.now(), attempt.trace_id, attempt.span_id)
            results = await self._send(sender, group, attempt.observer)
            ended = self._rules.now()
            attempt.finish(results)
            if sent := [each for each in results if not each.is_suppressed]:
                await self._note(domain, sent, is_probe=group[0].is_probe)
            note_sent()
            settled = await self._settler.settle(group, results, attempted)
            attempt.measure(group, results, settled, ended)

    async def _put_off(self, group: Group, reason: str) -> None:
        text = f"the destination is suspended: {reason}"
        results = [_temporary(each, "4.4.1", text) for each in self._envelope(group).recipients]
        await self._settler.settle(group, results, None)

    async def _send(self, sender: Sender, group: Group, observer: Observer) -> Sequence[Result]:
        """The result of each recipient, whatever happens: one without a result would be leased forever."""
        recipients = self._envelope(group).recipients

        async def send(allowed: Group) -> Sequence[Result]:
            raw = await (await self._queue.open(allowed[0].message_id)).read()
            message = SignedMessage(raw, await self._keys.find(raw, allowed[0].sender), self._rules.now)
            return await sender.send(self._envelope(allowed), message, observer)

        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await self._suppressions.send(group, send)
        except TimeoutError:
            text = "the attempt took too long"
            return [_temporary(each, "4.4.2", text) for each in recipients]
        except ValueError:
            text = "the address cannot be sent"
            return [Result(each, Outcome.PERMANENT, "5.1.3", text) for each in recipients]
        except Exception as error:  # noqa: BLE001 - reported, and tried again
            self._supervisor.report("relay.connection", error)
            text = "internal error"
            return [Result(each, Outcome.TEMPORARY, "4.3.0", text) for each in recipients]

    async def _note(self, domain: str, results: Sequence[Result], *, is_probe: bool) -> None:
        """Note whether a server was reached, and suspend or resume. A domain that does not exist is not dead."""
        unreached = [each for each in results if not each.is_reached]
        try:
            if not unreached:
                self._destinations.reached(domain)
                if is_probe:
                    await self._queue.resume(domain)
                    log.info("destination resumed", destination=domain)
            elif any(each.outcome is Outcome.TEMPORARY for each in unreached) and self._destinations.failed(domain):
                reason = unreached[0].text
                if self._destinations.suspend(domain, reason):
                    log.warning("destination suspended", destination=domain, error=reason)
                await self._queue.suspend(domain, reason)
        except StoreUnavailable:
            log.warning("suspension not stored", destination=domain)

    def _envelope(self, group: Group) -> Envelope:
        first = group[0]
        to = tuple([Recipient(each.address, each.notify, each.orcpt) for each in group])
        envid = first.envid or sign_envelope(
            self._rules.envelope_secret, first.message_id, first.account_id, first.domain
        )
        return Envelope(first.sender, to, first.size, first.is_8bit, first.is_utf8, first.ret, envid)


def _temporary(recipient: Recipient, status: str, text: str) -> Result:
    return Result(recipient, Outcome.TEMPORARY, status, text, is_reached=False)
