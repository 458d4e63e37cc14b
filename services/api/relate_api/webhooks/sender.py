"""Posts what webhooks are told, from the rows that wait: each webhook in order, many webhooks at a time.

Processes share the work by leases. A process that ends during an attempt loses its result, so that the delivery is
attempted again, with the same id, when the lease ends.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from relate_accounts.errors import AccountsUnavailable
from relate_api.webhooks.signing import signed_fields
from relate_mailstore.errors import StoreError
from relate_mailstore.ports import Webhooks
from relate_mailstore.wakes import Wake
from relate_mailstore.webhook_rules import MAX_ERROR_CHARACTERS, settle
from relate_mailstore.webhook_types import ClaimedWebhook, DisabledReason, Webhook, WebhookReply
from relate_outbound.client import Limits, OutboundClient, OutboundError
from relate_supervisor import Supervisor, Work

MAX_ATTEMPTS_ITEMS = 20  # at the same time, in one process; each webhook has one at most
POLL_SECONDS = 1.0  # how late an event is noticed
LIMITS = Limits(octets=16 * 1024, seconds=10.0)  # of a reply, of which only the status is used

_STATUS, _ATTEMPT = "http.response.status_code", "relate.webhook.attempt"  # attributes, as in the registry

log = structlog.get_logger(__name__)

Tell = Callable[[Webhook, DisabledReason], Awaitable[None]]
"""Tells the owner of a webhook that it was disabled."""


class WebhookSender:
    """The task that posts. `traceparent` returns that of the current span, `clock` seconds since the epoch."""

    def __init__(
        self,
        webhooks: Webhooks,
        client: OutboundClient,
        tell: Tell,
        supervisor: Supervisor,
        *,
        traceparent: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks = webhooks
        self._client = client
        self._tell = tell
        self._supervisor = supervisor
        self._traceparent = traceparent
        self._clock = clock
        self._attempts: set[asyncio.Task[None]] = set()
        self._wake = Wake()

    async def __aenter__(self) -> "WebhookSender":
        """Start the task."""
        self._task = self._supervisor.keep("api.webhooks", self._run)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it, and the attempts that have not ended: they are repeated."""
        tasks = {self._task, *self._attempts}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _run(self) -> None:
        while True:
            try:
                await self._start_attempts()
            except StoreError as error:
                log.warning("webhooks.failed", error=str(error))
            await self._wake.wait_for(POLL_SECONDS)

    async def _start_attempts(self) -> None:
        free = MAX_ATTEMPTS_ITEMS - len(self._attempts)
        if free <= 0:
            return
        with self._supervisor.tracing.poll():
            claims = await self._webhooks.claim(free)
        for claimed in claims:
            task = asyncio.create_task(self._attempt(claimed), name="webhook")
            self._supervisor.watch("api.webhooks", task)
            self._attempts.add(task)
            task.add_done_callback(self._on_attempted)

    def _on_attempted(self, task: asyncio.Task[None]) -> None:
        self._attempts.discard(task)
        self._wake.set()  # the webhook may have more

    async def _attempt(self, claimed: ClaimedWebhook) -> None:
        webhook, delivery, _ = claimed
        with self._supervisor.tracing.work("api.webhooks.attempt") as span:
            span.link(delivery.origin)
            span.set(_ATTEMPT, delivery.attempts + 1)
            reply = await self._post(claimed, span)
            settled = settle(delivery.attempts + 1, reply, random.random())  # noqa: S311 - jitter, no secret
            try:
                if settled.disabled:  # first: if the process ends in between, the owner is told twice, not never
                    await self._tell(webhook, settled.disabled)
                await self._webhooks.settle(claimed, reply, settled)
            except (StoreError, AccountsUnavailable) as error:
                log.warning("webhooks.failed", error=str(error))  # repeated when the lease ends

    async def _post(self, claimed: ClaimedWebhook, span: Work) -> WebhookReply:
        webhook, delivery, _ = claimed
        fields = {"Content-Type": "application/json", **signed_fields(webhook, delivery, self._clock())}
        if traceparent := self._traceparent():
            fields["traceparent"] = traceparent
        try:
            response = await self._client.send(
                "POST", webhook.settings.url, fields=fields, content=delivery.body.encode(), limits=LIMITS
            )
        except OutboundError as error:
            return WebhookReply(None, str(error)[:MAX_ERROR_CHARACTERS])
        span.set(_STATUS, response.status)
        return WebhookReply(response.status)
