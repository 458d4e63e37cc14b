"""Recipients on the suppression list fail without an attempt; what their sender is told of it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from relate_accounts.addresses import find_canonical
from relate_mailstore.ports import Suppressions
from relate_mailstore.queue_types import Claimed
from relate_mailstore.suppression_types import Suppression, SuppressionSource
from relate_mime.printable import printable
from relate_relay.attempt.sender import Result
from relate_relay.client.envelope import Recipient
from relate_relay.client.results import Outcome

OPERATOR_STATUS = "5.1.0"
"""Of a recipient that an operator listed: RFC 3463 has no code for this, and a program must see a final refusal."""

_REASONS = {
    SuppressionSource.REPLY: "because its mail server replied",
    SuppressionSource.REPORT: "because a mail server reported",
    SuppressionSource.OPERATOR: "by an administrator",
}


class SuppressionFilter:
    """Keeps the recipients on the suppression list from being sent to."""

    def __init__(self, suppressions: Suppressions) -> None:
        self._suppressions = suppressions

    async def send(
        self, recipients: Sequence[Claimed], send: Callable[[Sequence[Claimed]], Awaitable[Sequence[Result]]]
    ) -> list[Result]:
        """Send to the recipients that are not listed, if there are any; the result of each recipient, in their order.

        Raises StoreUnavailable, and what `send` raises.
        """
        addresses = [find_canonical(each.address) for each in recipients]
        listed = await self._suppressions.find([address for address in addresses if address is not None])
        entries = [listed.get(address or "") for address in addresses]
        allowed = [each for each, entry in zip(recipients, entries, strict=True) if entry is None]
        sent = iter(await send(allowed) if allowed else ())
        return [
            next(sent) if entry is None else _suppressed(each, entry)
            for each, entry in zip(recipients, entries, strict=True)
        ]


def _suppressed(claimed: Claimed, entry: Suppression) -> Result:
    recipient = Recipient(claimed.address, claimed.notify, claimed.orcpt)
    return Result(
        recipient,
        Outcome.PERMANENT,
        entry.status or OPERATOR_STATUS,
        explain_entry(entry),
        is_reached=False,
        is_suppressed=True,
    )


def explain_entry(entry: Suppression) -> str:
    """Since when and why an address is listed, as one line."""
    date = datetime.fromtimestamp(entry.added, UTC).date()
    reason = _REASONS[entry.source]
    text = printable(entry.text)
    return f"on the suppression list since {date}, {reason}" + (f": {text}" if text else "")
