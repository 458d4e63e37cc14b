"""Threads (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES. Pure, and without recursion: threads may be deep."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from relate_imap.search.sort import sent_date
from relate_imap.search.subject import BaseSubject, base_subject
from relate_mailstore.types import Entry, Summary

STEPS = 1_000_000
STEPS_EACH = 100
"""How far all searches for loops may go together: real references need next to none, and made-up ones might be 10^9
steps. When they are used up, what would have to be searched is not linked."""


@dataclass(slots=True, eq=False)
class Node:
    """A message in its thread; `place` is None for one that others refer to, and that is not here (a dummy)."""

    place: int | None = None
    parent: "Node | None" = None
    had_children: bool = False
    children: "list[Node]" = field(default_factory=list)


class Messages:
    """The messages that are threaded, by place."""

    def __init__(self, places: Iterable[int], entries: Sequence[Entry], summaries: Sequence[Summary]) -> None:
        self.places = list(places)
        self._entries = entries
        self._summaries = summaries

    def summary(self, place: int) -> Summary:
        """What the header says."""
        return self._summaries[place]

    def subject(self, place: int) -> BaseSubject:
        """The base subject."""
        return base_subject(self._summaries[place].subject)

    def date(self, place: int) -> tuple[int, int]:
        """Sorts messages by when they were sent; those of the same second by their numbers."""
        return sent_date(self._entries[place], self._summaries[place]), place

    def node_date(self, node: Node) -> tuple[int, int]:
        """A dummy stands where its first child does (step 4)."""
        return self.date(node.place) if node.place is not None else min(map(self.node_date, node.children))

    def sort(self, nodes: list[Node]) -> None:
        """Siblings, by when they were sent."""
        nodes.sort(key=self.node_date)


def encode_threads(roots: Iterable[Node], number: Callable[[int], int]) -> str:
    """`(2)(3 6 (4 23)(44 7 96))`; `number` says how the client calls a place (RFC 5256 §4)."""
    pieces: list[str] = []
    waiting: list[Node | str] = [*reversed([*roots])]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        pieces.append("(")
        chain, siblings = _unbranched(node)
        pieces.append(" ".join(str(number(place)) for place in chain))
        pieces.append(" " if chain and siblings else "")
        waiting.append(")")
        waiting += reversed(siblings)
    return "".join(pieces)


def _unbranched(node: Node) -> tuple[list[int], list[Node]]:
    """Messages, each the only answer to the one before; and the answers to the last of them, if there are several."""
    chain = [] if node.place is None else [node.place]
    while len(node.children) == 1:
        [node] = node.children
        chain += [] if node.place is None else [node.place]
    return chain, node.children


def _from_the_top(roots: Iterable[Node]) -> Iterator[Node]:
    """All nodes, each before its children."""
    waiting = [*roots]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        yield node


# --- ORDEREDSUBJECT


def by_subject(messages: Messages) -> list[Node]:
    """All with the same base subject are a thread: the first one sent, and answers to that."""
    threads: dict[str, list[Node]] = {}
    for place in sorted(messages.places, key=messages.date):
        threads.setdefault(messages.subject(place).text, []).append(Node(place))
    roots = [thread[0] for thread in threads.values()]
    for root, thread in zip(roots, threads.values(), strict=True):
        root.children = thread[1:]
    return roots


# --- REFERENCES


def by_references(messages: Messages) -> list[Node]:
    """Who answers whom, as the header fields have it, and as the subjects suggest."""
    roots = _without_dummies(_Linking(messages).roots())  # 1 to 3
    for root in roots:
        messages.sort(root.children)
    messages.sort(roots)  # 4
    roots = _join_subjects(messages, roots)  # 5
    for node in _from_the_top(roots):
        messages.sort(node.children)
    messages.sort(roots)  # 6
    return roots


class _Linking:
    """Step 1: messages and what they refer to, each under its parent."""

    def __init__(self, messages: Messages) -> None:
        self._by_id: dict[str, Node] = {}
        self._others: list[Node] = []  # without an id, or with one that another had before
        self._steps = STEPS + STEPS_EACH * len(messages.places)
        for place in messages.places:
            self._add(place, messages.summary(place))

    def roots(self) -> list[Node]:
        """Step 2: those without a parent. The others are their parents' children from here on."""
        roots = []
        for node in (*self._by_id.values(), *self._others):
            if node.parent is None:
                roots.append(node)
            else:
                node.parent.children.append(node)
        return roots

    def _add(self, place: int, summary: Summary) -> None:
        message, parent = self._take(place, summary.header_message_id), None
        for reference in summary.references:
            node = self._node(reference)
            if parent is not None and node.parent is None:
                self._link(parent, node)
            parent = node
        message.parent = None  # what others presumed is not as good as what it says itself
        if parent is not None:
            self._link(parent, message)

    def _take(self, place: int, message_id: str) -> Node:
        node = self._node(message_id) if message_id else None
        if node is None or node.place is not None:
            node = Node()
            self._others.append(node)
        node.place = place
        return node

    def _node(self, message_id: str) -> Node:
        node = self._by_id.get(message_id)
        if node is None:
            node = self._by_id[message_id] = Node()
        return node

    def _link(self, parent: Node, child: Node) -> None:
        if not self._would_loop(parent, child):
            child.parent = parent
            parent.had_children = True

    def _would_loop(self, parent: Node, child: Node) -> bool:
        """Whether the child is the parent, or somewhere above it."""
        above: Node | None = parent
        while above is not None and above is not child:
            if not child.had_children:
                return False
            above = above.parent
            self._steps -= 1
            if self._steps < 0:
                return True
        return above is child


def _without_dummies(roots: list[Node]) -> list[Node]:
    """Step 3: children take the place of a dummy, but several of them do not become roots."""
    for node in [*_from_the_top(roots)][::-1]:
        node.children = _gather(node.children)
    return [kept for root in roots for kept in (_kept(root) if len(root.children) < 2 else [root])]


def _gather(children: list[Node]) -> list[Node]:
    """All that is kept of these. The longest list takes in the others, so that a chain of dummies copies nothing."""
    lists = [child.children if child.place is None else [child] for child in children]
    gathered = max(lists, key=len, default=[])
    for others in lists:
        if others is not gathered:
            gathered += others
    return gathered


def _kept(node: Node) -> list[Node]:
    return node.children if node.place is None else [node]


def _join_subjects(messages: Messages, roots: list[Node]) -> list[Node]:
    """Step 5: threads with the same subject are one, most of all where one of them begins with an answer."""
    table = _subject_table(messages, roots)
    joined: dict[Node, None] = dict.fromkeys(roots)
    for node in roots:
        subject = _subject(messages, node)
        first = table.get(subject.text, node)
        if first is node:
            continue
        del joined[node]
        if first.place is None:
            first.children += _kept(node)
        elif node.place is not None and subject.is_reply and not _subject(messages, first).is_reply:
            first.children.append(node)
        else:
            del joined[first]
            table[subject.text] = dummy = Node(children=[first, node])
            joined[dummy] = None
    return [*joined]


def _subject_table(messages: Messages, roots: list[Node]) -> dict[str, Node]:
    """Steps 5.A and 5.B: the root for each subject; rather a dummy, and rather what is no answer."""
    table: dict[str, Node] = {}
    for node in roots:
        subject = _subject(messages, node)
        if not subject.text:
            continue
        first = table.setdefault(subject.text, node)
        if first.place is not None and (
            node.place is None or (_subject(messages, first).is_reply and not subject.is_reply)
        ):
            table[subject.text] = node
    return table


def _subject(messages: Messages, node: Node) -> BaseSubject:
    """A dummy's is that of its first child."""
    while node.place is None:
        node = node.children[0]
    return messages.subject(node.place)
