"""`Labels` in memory."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

from relate_mailstore.filter_types import Label, LabelId, LabelStyle
from relate_mailstore.identifiers import AccountId
from relate_mailstore.keywords import key_of, one_spelling
from relate_mailstore.label_rules import all_labels, check_label_limit, check_style, find_label, new_label
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.types import FlagChange


class MemoryLabels:
    """`Labels` without persistence, of the keywords that accounts' messages have."""

    def __init__(self, account: Callable[[AccountId], MemoryAccount]) -> None:
        self._account = account
        self._stored: defaultdict[AccountId, dict[LabelId, Label]] = defaultdict(dict)

    def stored(self, account_id: AccountId, label_id: LabelId | None) -> Label | None:
        """A stored label."""
        return None if label_id is None else self._stored[account_id].get(label_id)

    async def all(self, account_id: AccountId) -> Sequence[Label]:
        """The stored labels and other keywords."""
        return self._all(account_id)

    async def find(self, account_id: AccountId, label_id: LabelId) -> Label:
        """The label with this id, stored or not."""
        return find_label(self._all(account_id), label_id)

    async def add(self, account_id: AccountId, style: LabelStyle) -> Label:
        """Store a label with its keyword."""
        label = new_label(account_id, style, self._all(account_id))
        self._stored[account_id][label.id] = label
        return label

    async def change(self, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
        """Change a label, or store that of a keyword."""
        known = self._all(account_id)
        label = find_label(known, label_id)
        check_style(style, known, changed=label_id)
        if not label.is_stored:
            check_label_limit(known)
        self._stored[account_id][label_id] = replace(label, style=style, is_stored=True)
        return self._stored[account_id][label_id]

    async def remove(self, account_id: AccountId, label_id: LabelId) -> None:
        """Remove a label and its keyword."""
        label = find_label(self._all(account_id), label_id)
        self._stored[account_id].pop(label_id, None)
        change = FlagChange(remove_keywords=(label.keyword,))
        for mailbox in self._account(account_id).mailboxes.values():
            entries = mailbox.entries.values()
            having = [entry.uid for entry in entries if key_of(label.keyword) in map(key_of, entry.keywords)]
            mailbox.set_flags(having, change)

    async def erase(self, account_id: AccountId) -> None:
        """Forget the stored labels."""
        self._stored.pop(account_id, None)

    def _all(self, account_id: AccountId) -> Sequence[Label]:
        mailboxes = self._account(account_id).mailboxes.values()
        keywords = chain.from_iterable(mailbox.snapshot().keywords for mailbox in mailboxes)
        return all_labels(account_id, self._stored[account_id].values(), one_spelling(sorted(set(keywords))))
