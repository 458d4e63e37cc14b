"""Which names a LIST answers, and with which attributes (RFC 9051 §6.3.9, RFC 5258). Pure.

Names are a tree by "/". A name without a mailbox is listed where one below it has: clients draw trees.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from relate_mailstore.types import INBOX, Mailbox

DELIMITER = "/"


@dataclass(frozen=True, slots=True)
class Listed:
    """One name to be answered. `child_info`: a name below it meets the selection (RFC 5258 §3.5)."""

    name: str
    attributes: tuple[str, ...]
    mailbox: Mailbox | None
    child_info: bool = False


class Tree:
    """The names of an account: of its mailboxes, and of what it is subscribed to."""

    def __init__(self, mailboxes: Iterable[Mailbox], subscriptions: Collection[str]) -> None:
        self.mailboxes: Mapping[str, Mailbox] = {mailbox.name: mailbox for mailbox in mailboxes}
        self.subscriptions = frozenset(subscriptions)
        self._parents = {parent for name in self.mailboxes for parent in parents(name)}

    def list(self, patterns: Iterable[str], selection: Collection[str], returning: Collection[str]) -> Iterator[Listed]:
        """LIST: every name that matches a pattern and the selection, in order."""
        chosen = self._selected(selection)
        above = {parent for name in chosen for parent in parents(name)} if "RECURSIVEMATCH" in selection else set()
        subscribed = "SUBSCRIBED" in selection or "SUBSCRIBED" in returning
        candidates = chosen | above | (set() if _narrows(selection) else self._parents)
        for name in matching(candidates, patterns):
            yield Listed(name, tuple(self._attributes(name, subscribed)), self.mailboxes.get(name), name in above)

    def lsub(self, patterns: Iterable[str]) -> Iterator[Listed]:
        """LSUB: subscribed names that match; where "%" stops short of one, its parent instead (RFC 3501 §6.3.9)."""
        patterns = tuple(patterns)
        names = set(matching(self.subscriptions, patterns))
        above = set(matching({parent for name in self.subscriptions for parent in parents(name)}, patterns))
        stand_ins = above - names if any("%" in pattern for pattern in patterns) else set()
        for name in sorted(names | stand_ins, key=order):
            selectable = name in names and name in self.mailboxes
            yield Listed(name, () if selectable else ("\\Noselect",), self.mailboxes.get(name))

    def has_children(self, name: str) -> bool:
        """Whether there is a mailbox below this name."""
        return name in self._parents

    def _selected(self, selection: Collection[str]) -> set[str]:
        names = set(self.mailboxes)
        if "SUBSCRIBED" in selection:
            names = set(self.subscriptions)
        if "SPECIAL-USE" in selection:
            names = {name for name in names if name in self.mailboxes and self.mailboxes[name].special_use}
        return names

    def _attributes(self, name: str, subscribed: bool) -> Iterator[str]:
        mailbox = self.mailboxes.get(name)
        if mailbox is None:
            yield from ("\\NonExistent", "\\Noselect")  # the second for who knows RFC 3501 only
        yield "\\HasChildren" if self.has_children(name) else "\\HasNoChildren"
        if mailbox is not None and mailbox.special_use:
            yield mailbox.special_use
        if subscribed and name in self.subscriptions:
            yield "\\Subscribed"


def parents(name: str) -> Iterator[str]:
    """All names above this one: `a/b` and `a` for `a/b/c`."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that match any of the patterns, in order; "*" matches everything, "%" stops at the delimiter."""
    expressions = [_compile(pattern) for pattern in patterns]
    return sorted((name for name in names if any(one.fullmatch(name) for one in expressions)), key=order)


def order(name: str) -> tuple[bool, str]:
    """Sorts names: INBOX first."""
    return name != INBOX, name


def _narrows(selection: Collection[str]) -> bool:
    return bool({"SUBSCRIBED", "SPECIAL-USE"} & set(selection))


# More wildcards than a person would ever need: each may cost another look at every name.
MAX_WILDCARDS = 20


@lru_cache(256)
def _compile(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression; runs of wildcards are one, and too many match nothing (RFC 9051 §11.3)."""
    pieces = re.findall(r"[*%]+|[^*%]+", pattern)
    if sum(piece[0] in "*%" for piece in pieces) > MAX_WILDCARDS:
        return re.compile(r"(?!)")
    text = "".join(_translate(piece) for piece in pieces)
    head = pattern.partition(DELIMITER)[0]
    if head.lower() == INBOX.lower():  # INBOX is one in any case (RFC 9051 §5.1)
        text = INBOX + text[len(head) :]
    return re.compile(text, re.DOTALL)


def _translate(piece: str) -> str:
    if "*" in piece:
        return ".*"
    return "[^/]*" if "%" in piece else re.escape(piece)
