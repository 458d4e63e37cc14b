"""The message that tells users that their webhook was disabled."""

import time
from collections.abc import Callable
from uuid import uuid4

from relate_accounts.ports import AccountStore
from relate_accounts.types import UserId
from relate_api.config import SERVICE
from relate_mailstore.event_rules import of_own_message
from relate_mailstore.ports import MailStore
from relate_mailstore.types import Delivery, Destination
from relate_mailstore.webhook_types import DisabledReason, Webhook
from relate_mime.writing.system_fields import system_fields
from relate_mime.writing.text import visible, wrap

SUBJECT = "A webhook of yours was disabled"

_REASONS = {
    DisabledReason.GONE: "it answered 410 (Gone), which asks us to send nothing more",
    DisabledReason.FAILING: "no attempt to reach it succeeded for three days",
}
_TEXT = """\
This mail system posts events to {url}. It has stopped, because {reason}.

What you can do: if the webhook is still needed, see that it answers with a status of 2xx, and enable it again. What
waited for it is then sent, as far as it is not older than two weeks. What happens while it is disabled is not sent.

This message is from the mail system {server_name}."""
_FIELDS = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"


def make_notice(
    webhook: Webhook, reason: DisabledReason, address: str, *, server_name: str, identifier: str, now: float
) -> bytes:
    """Write the notice to the user with this address; `now` is in seconds since the epoch, `identifier` unique."""
    header = system_fields(
        address,
        SUBJECT,
        server_name=server_name,
        identifier=identifier,
        now=now,
        auto_submitted="auto-generated",  # RFC 3834 §5
    )
    url, name = visible(webhook.settings.url), visible(server_name)
    text = _TEXT.format(url=url, reason=_REASONS[reason], server_name=name)
    lines = [line for paragraph in text.split("\n\n") for line in (*wrap(paragraph.replace("\n", " ")), "")]
    return b"".join([*header, _FIELDS, "\r\n".join(lines).encode()])


class Teller:
    """Delivers the notice to the INBOX of the webhook's owner, also over quota."""

    def __init__(
        self, store: MailStore, accounts: AccountStore, server_name: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._server_name = server_name
        self._clock = clock

    async def __call__(self, webhook: Webhook, reason: DisabledReason) -> None:
        """Tell the owner; nothing if the user was removed. Raises StoreUnavailable, AccountsUnavailable."""
        addresses = await self._accounts.addresses(UserId(webhook.account_id))
        if addresses:
            notice = make_notice(
                webhook,
                reason,
                addresses[0],
                server_name=self._server_name,
                identifier=f"webhook-{uuid4()}",
                now=self._clock(),
            )
            events = of_own_message(webhook.account_id, addresses[0], SERVICE, len(notice))
            await self._store.deliver(Delivery(notice, (Destination(webhook.account_id),), events=events))
