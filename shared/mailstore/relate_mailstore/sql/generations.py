"""Cache generations of accounts: which cached contents may still be answered with.

A message never changes, but any process may remove it. Contents are cached under their account's generation, and a new
generation evicts all of them. A process that hears of every removal evicts the messages that notices name, and keeps
the generation. Where it may have missed one (it was not listening, or SQLite's file has changed) it asks the database
how many UIDs were expunged from each mailbox of the account, and begins a new generation if any have been since.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import bindparam, select

from relate_mailstore.sql.database import Database
from relate_mailstore.sql.mailboxes import Step
from relate_mailstore.sql.schema import mailboxes
from relate_mailstore.types import AccountId, MailboxId

MAX_ACCOUNTS = 20_000  # whose generation a process knows: some 10 MB; of any other it has no contents cached

# All UIDs that were given out, but for those that still are entries.
_EXPUNGED = select(mailboxes.c.id, mailboxes.c.uid_next - 1 - mailboxes.c.messages).where(
    mailboxes.c.account_id == bindparam("account_id")
)


class Generation:
    """A part of the keys of caches, compared by identity, for one account.

    It is confirmed as of `epoch` (see `heard`). `expunged` counts the expunged UIDs of each mailbox then, None where
    that was not asked for. `removals` counts the evictions of single messages since the generation began.
    """

    __slots__ = ("account_id", "epoch", "expunged", "removals")

    def __init__(self, account_id: AccountId, epoch: object, expunged: dict[MailboxId, int] | None = None) -> None:
        self.account_id = account_id
        self.epoch = epoch
        self.expunged = expunged
        self.removals = 0

    def has_lost_none(self, expunged: Mapping[MailboxId, int]) -> bool:
        """Whether nothing was expunged up to the moment of these counts."""
        if self.expunged is None:
            return False
        return all(expunged.get(mailbox_id) == count for mailbox_id, count in self.expunged.items())


class Generations:
    """The generation of each account whose contents are cached.

    `epoch` is that of `Heard`, and may lag behind a moment; `latest_epoch` does not.
    """

    def __init__(self, database: Database, epoch: Callable[[], object], latest_epoch: Callable[[], object]) -> None:
        self._database = database
        self._epoch = epoch
        self._latest_epoch = latest_epoch
        self._current: OrderedDict[AccountId, Generation] = OrderedDict()

    async def confirm(self, account_id: AccountId) -> Generation:
        """The generation whose contents are those of messages that are there.

        A query only where a removal may have been missed. Raises StoreUnavailable.
        """
        known = self._current.get(account_id)
        if known is None:
            return self._begin(Generation(account_id, self._latest_epoch()))
        if known.epoch is not None and known.epoch == self._epoch():
            return known
        epoch = self._latest_epoch()  # before the counts: what is expunged after them belongs to a later epoch
        rows = await self._database.glance(_EXPUNGED, {"account_id": account_id})
        expunged: dict[MailboxId, int] = dict(rows)
        current = self._current.get(account_id)
        if current is not known:  # it expired meanwhile, and another may have begun
            return current or self._begin(Generation(account_id, epoch, expunged))
        if not known.has_lost_none(expunged):
            return self._begin(Generation(account_id, epoch, expunged))
        known.epoch, known.expunged = epoch, expunged
        return known

    def current(self, account_id: AccountId) -> Generation | None:
        """The generation of an account of which contents are cached."""
        return self._current.get(account_id)

    def expire(self, account_id: AccountId) -> None:
        """Evict all contents of an account."""
        self._current.pop(account_id, None)

    def learn(self, steps: Iterable[Step]) -> None:
        """This process committed these steps, and evicts what they removed: the counts need not tell of it."""
        for step in steps:
            generation = self._current.get(step.mailbox.account_id)
            if generation is None or generation.expunged is None or not step.gone:
                continue
            before = step.mailbox.uid_next - 1 - step.mailbox.messages
            if generation.expunged.get(step.mailbox.id) == before:  # else another process's removal was missed
                generation.expunged[step.mailbox.id] = before + len(step.gone)

    def _begin(self, generation: Generation) -> Generation:
        self._current[generation.account_id] = generation
        if len(self._current) > MAX_ACCOUNTS:
            self._current.popitem(last=False)
        return generation
