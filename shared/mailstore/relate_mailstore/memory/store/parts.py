"""The parts of a store in memory, wired together."""

from collections.abc import Callable, Sequence

from relate_mailstore.event_rules import EventRules
from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.memory.accounts import MemoryAccounts
from relate_mailstore.memory.deliveries import Index, MemoryDeliveries
from relate_mailstore.memory.events import MemoryEventLog
from relate_mailstore.memory.filters import MemoryFilters
from relate_mailstore.memory.labels import MemoryLabels
from relate_mailstore.memory.outcomes import MemoryOutcomes
from relate_mailstore.memory.push_subscriptions import MemoryPushSubscriptions
from relate_mailstore.memory.queue import MemoryQueue
from relate_mailstore.memory.requests import MemoryRequests
from relate_mailstore.memory.sending import MemorySending
from relate_mailstore.memory.suppressions import MemorySuppressions
from relate_mailstore.memory.webhooks import MemoryWebhooks
from relate_mailstore.types import Delivery, Receipt


class Parts:
    """The parts of a store; the stores that `acting` returns share them."""

    def __init__(self, index: Index, clock: Callable[[], float], event_rules: EventRules) -> None:
        self.index = index
        self.message_ids = generate_message_ids()
        self.listeners = ChangeListeners()
        self.accounts = MemoryAccounts(self.listeners.notify)
        self.outcomes = MemoryOutcomes(self.listeners.notify)
        self.webhooks = MemoryWebhooks(clock)
        self.push_subscriptions = MemoryPushSubscriptions(self.webhooks)
        self.events = MemoryEventLog(event_rules, clock, self._tell_subscribers)
        self.suppressions = MemorySuppressions(clock)
        self.labels = MemoryLabels(self.accounts.account)
        self.filters = MemoryFilters(self.accounts.account, self.labels, clock)
        self.sending = MemorySending(clock)
        self.requests = MemoryRequests(clock)
        self.queue = MemoryQueue(self._deliver_all, self.events.add, self.suppressions.suppress, clock)
        self.deliveries = MemoryDeliveries(
            self.accounts,
            index,
            self.message_ids,
            filters=self.filters,
            events=self.events,
            suppressions=self.suppressions,
            sending=self.sending,
            queue=self.queue.add,
        )

    def _deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Receipt]:
        """Store the reports that the queue delivers with its results."""
        return self.deliveries.deliver_all(deliveries)

    def _tell_subscribers(self, events: Sequence[Event]) -> None:
        """Tell followers and webhooks of the stored events of one commit."""
        self.webhooks.add(events)
        self.outcomes.add(events)
