"""The ports of the mail store: what sessions and endpoints call. One method is one transaction; errors are in `errors`.

Three implementations pass one contract suite (`tests/contract`): memory, SQLite, PostgreSQL. Every method that reads
or writes mail takes the account, so that rows can be sharded by account without a change in a protocol.

`MailStore` consists of the ports in `raw`, `search`, `live`, `mailboxes` and `messages`; each store implements them in
files of the same names (`memory/store`, `sql/store`).
"""

from relate_mailstore.ports.events import EventLog
from relate_mailstore.ports.filters import Filters, Labels
from relate_mailstore.ports.live import LiveStore
from relate_mailstore.ports.mail_store import ActingStore, MailStore
from relate_mailstore.ports.mailboxes import MailboxStore
from relate_mailstore.ports.messages import MessageStore
from relate_mailstore.ports.queue import QueueStore
from relate_mailstore.ports.raw import RawMessage, RawStore
from relate_mailstore.ports.search import SearchStore
from relate_mailstore.ports.suppressions import Suppressions
from relate_mailstore.ports.webhooks import PushSubscriptions, Webhooks

__all__ = [
    "ActingStore",
    "EventLog",
    "Filters",
    "Labels",
    "LiveStore",
    "MailStore",
    "MailboxStore",
    "MessageStore",
    "PushSubscriptions",
    "QueueStore",
    "RawMessage",
    "RawStore",
    "SearchStore",
    "Suppressions",
    "Webhooks",
]
