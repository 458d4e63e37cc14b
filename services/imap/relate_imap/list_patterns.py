"""Selects the names that LIST returns, and their attributes (RFC 9051 §6.3.9, RFC 5258). Pure.

Names are a tree with delimiter "/". A name without a mailbox is listed if there is a mailbox below it, because clients
draw trees.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from relate_mailstore.mailbox_names import DELIMITER, normal_form, parents
from relate_mailstore.types import INBOX, Mailbox

WILDCARDS = "*%"


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One name in a LIST response. `child_info`: a name below it matches the selection options (RFC 5258 §3.5)."""

    name: str
    attributes: tuple[str, ...]
    mailbox: Mailbox | None
    child_info: bool = False


class MailboxTree:
    """The names of an account's mailboxes and subscriptions."""

    def __init__(self, mailboxes: Iterable[Mailbox], subscriptions: Collection[str]) -> None:
        self.mailboxes: Mapping[str, Mailbox] = {mailbox.name: mailbox for mailbox in mailboxes}
        self.subscriptions = frozenset(subscriptions)
        self._parents = {parent for name in self.mailboxes for parent in parents(name)}

    def list(
        self, patterns: Iterable[str], selection: Collection[str], returning: Collection[str]
    ) -> Iterator[ListEntry]:
        """LIST: every name that matches a pattern and the selection options, sorted."""
        selected = self._selected(selection)
        above = {parent for name in selected for parent in parents(name)} if "RECURSIVEMATCH" in selection else set()
        subscribed = "SUBSCRIBED" in selection or "SUBSCRIBED" in returning
        candidates = selected | above | (set() if _narrows(selection) else self._parents)
        for name in matching(candidates, patterns):
            yield ListEntry(name, tuple(self._attributes(name, subscribed)), self.mailboxes.get(name), name in above)

    def lsub(self, patterns: Iterable[str]) -> Iterator[ListEntry]:
        """LSUB: matching subscribed names; if "%" matches only a parent of one, the parent (RFC 3501 §6.3.9)."""
        patterns = tuple(patterns)
        names = set(matching(self.subscriptions, patterns))
        above = set(matching({parent for name in self.subscriptions for parent in parents(name)}, patterns))
        stand_ins = above - names if any("%" in pattern for pattern in patterns) else set()
        for name in sorted(names | stand_ins, key=order):
            selectable = name in names and name in self.mailboxes
            yield ListEntry(name, () if selectable else ("\\Noselect",), self.mailboxes.get(name))

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
            yield from ("\\NonExistent", "\\Noselect")  # the second for clients of RFC 3501
        yield "\\HasChildren" if self.has_children(name) else "\\HasNoChildren"
        if mailbox is not None and mailbox.special_use:
            yield mailbox.special_use
        if subscribed and name in self.subscriptions:
            yield "\\Subscribed"


def matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The names that match any of the patterns, sorted; "*" matches everything, "%" stops at the delimiter."""
    matches = Matcher(patterns)
    return sorted(filter(matches, names), key=order)


def order(name: str) -> tuple[bool, str]:
    """Sort key for names: INBOX first."""
    return name != INBOX, name


def _narrows(selection: Collection[str]) -> bool:
    return bool({"SUBSCRIBED", "SPECIAL-USE"} & set(selection))


class Matcher:
    """Matches names against LIST patterns in time linear in the name (RFC 9051 §6.3.9).

    Patterns with at most one wildcard, nearly all that clients send, are compared as strings. All others are one
    nondeterministic automaton without backtracking: its state set is a bit mask, one bit per character of all patterns.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        pieces = [_pieces(pattern) for pattern in dict.fromkeys(patterns)]
        self._affixes = [_affixes(one) for one in pieces if _wildcards(one) <= 1]
        self._automaton = _Automaton(one for one in pieces if _wildcards(one) > 1)

    def __call__(self, name: str) -> bool:
        """Whether any of the patterns matches the name."""
        text = _comparable(name)
        return any(one.match(text) for one in self._affixes) or self._automaton.matches(text)


class _Affixes(NamedTuple):
    """A pattern with at most one wildcard: prefix and suffix of a name."""

    start: str
    wildcard: str
    end: str

    def match(self, name: str) -> bool:
        """Whether the pattern matches the name."""
        if not self.wildcard:
            return name == self.start
        if len(name) < len(self.start) + len(self.end):
            return False
        if not (name.startswith(self.start) and name.endswith(self.end)):
            return False
        return self.wildcard == "*" or DELIMITER not in name[len(self.start) : len(name) - len(self.end)]


class _Automaton:
    """Bit n of a mask stands for state n: a position in a pattern, or the end of one."""

    def __init__(self, patterns: Iterable[Sequence[str]]) -> None:
        self._literals: dict[str, int] = {}  # states that a character leads on from, by character
        self._starts = self._ends = self._crossing = self._wild = 0
        state = 0
        for pieces in patterns:
            self._starts |= 1 << state
            for character in chain.from_iterable(pieces):
                self._add(character, 1 << state)
                state += 1
            self._ends |= 1 << state
            state += 1
        self._starts = self._skip(self._starts)

    def matches(self, name: str) -> bool:
        """Whether any of the patterns matches; a few integer operations per character."""
        if not self._starts:
            return False
        states, literals = self._starts, self._literals
        for character in name:
            stays = self._crossing if character == DELIMITER else self._wild
            states = self._skip(states & stays | (states & literals.get(character, 0)) << 1)
            if not states:
                return False
        return bool(states & self._ends)

    def _add(self, character: str, state: int) -> None:
        if character in WILDCARDS:
            self._wild |= state
            self._crossing |= state if character == "*" else 0
        else:
            self._literals[character] = self._literals.get(character, 0) | state

    def _skip(self, states: int) -> int:
        """Add the states behind wildcards, which may match nothing. No two wildcards are adjacent."""
        return states | (states & self._wild) << 1


_PIECES = re.compile(r"[*%]+|[^*%]+")


def _pieces(pattern: str) -> list[str]:
    """Wildcards and the texts between them; adjacent wildcards are merged."""
    pieces = _PIECES.findall(_comparable(pattern))
    return [("*" if "*" in piece else "%") if piece[0] in WILDCARDS else piece for piece in pieces]


def _wildcards(pieces: Sequence[str]) -> int:
    return pieces.count("*") + pieces.count("%")


def _affixes(pieces: Sequence[str]) -> _Affixes:
    position = next((position for position, piece in enumerate(pieces) if piece in ("*", "%")), len(pieces))
    return _Affixes(
        "".join(pieces[:position]), "".join(pieces[position : position + 1]), "".join(pieces[position + 1 :])
    )


def _comparable(name: str) -> str:
    """A name or pattern in Unicode normal form, INBOX in capitals (RFC 9051 §5.1)."""
    text = normal_form(name)
    head = text.partition(DELIMITER)[0]
    return INBOX + text[len(head) :] if head.lower() == INBOX.lower() else text
