"""What an operator does with the forms of the page."""

import httpx

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.types import AccountId, Delivery
from tests.support.factories import simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.browsing import form_secret

SENDER, MESSAGE_ID = "alice@example.org", "m1@example.org"


async def send(client: httpx.AsyncClient, path: str, **fields: object) -> httpx.Response:
    """Send a form of administration."""
    secret = form_secret(await client.get("/admin"))
    return await client.post(path, data={"csrf": secret, **fields})


async def queue_mail(world: MemoryBackend, account_id: AccountId, *addresses: str) -> None:
    """A message to addresses elsewhere."""
    recipients = tuple(OutgoingRecipient(each, each.partition("@")[2]) for each in addresses)
    outgoing = Outgoing(SENDER, recipients, account_id, header_message_id=MESSAGE_ID)
    events = [
        Event(name, account_id=account_id, header_message_id=MESSAGE_ID, sender=SENDER, recipient=each, service="smtp")
        for each in addresses
        for name in (EventName.RECEIVED, EventName.QUEUED)
    ]
    await world.store.deliver(Delivery(simple(), (), outgoing=outgoing, events=tuple(events)))
