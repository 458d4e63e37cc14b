"""Threads (RFC 5256 §3): ORDEREDSUBJECT and REFERENCES. Pure, and without recursion, because threads may be deep."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from relate_imap.search.sort import sent_date
from relate_imap.search.subject import BaseSubject, base_subject
from relate_mailstore.types import EntryList, Summary

# Bound on the steps of all loop checks together: real references need hardly any, hostile ones might need 10^9. When it
# is reached, links that need a check are not made.
MAX_LOOP_CHECK_STEPS = 1_000_000
LOOP_CHECK_STEPS_PER_MESSAGE = 100  # in addition


@dataclass(slots=True, eq=False)
class Node:
    """A message in its thread; `position` is None for a dummy: a message that is referred to and missing."""

    position: int | None = None
    parent: "Node | None" = None
    had_children: bool = False
    children: "list[Node]" = field(default_factory=list)


class Messages:
    """The messages to thread, by position."""

    def __init__(self, positions: Iterable[int], entries: EntryList, summaries: Sequence[Summary]) -> None:
        self.positions = list(positions)
        self._internal_dates = entries.column("internal_date")
        self._summaries = summaries

    def summary(self, position: int) -> Summary:
        """The message's summary."""
        return self._summaries[position]

    def subject(self, position: int) -> BaseSubject:
        """The message's base subject."""
        return base_subject(self._summaries[position].subject)

    def date(self, position: int) -> tuple[int, int]:
        """Sort key: the date of sending, then the number."""
        return sent_date(self._internal_dates[position], self._summaries[position]), position

    def node_date(self, node: Node) -> tuple[int, int]:
        """A dummy sorts by its first child (step 4)."""
        return self.date(node.position) if node.position is not None else min(map(self.node_date, node.children))

    def sort(self, nodes: list[Node]) -> None:
        """Sort siblings by date."""
        nodes.sort(key=self.node_date)


def encode_threads(roots: Iterable[Node], number: Callable[[int], int]) -> str:
    """`(2)(3 6 (4 23)(44 7 96))`; `number` maps a position to a message number or UID (RFC 5256 §4)."""
    pieces: list[str] = []
    stack: list[Node | str] = [*reversed([*roots])]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        pieces.append("(")
        chain, siblings = _unbranched(node)
        pieces.append(" ".join(str(number(position)) for position in chain))
        pieces.append(" " if chain and siblings else "")
        stack.append(")")
        stack += reversed(siblings)
    return "".join(pieces)


def _unbranched(node: Node) -> tuple[list[int], list[Node]]:
    """A chain of only children, and the children of its last message, if there are several."""
    chain = [] if node.position is None else [node.position]
    while len(node.children) == 1:
        [node] = node.children
        chain += [] if node.position is None else [node.position]
    return chain, node.children


def _preorder(roots: Iterable[Node]) -> Iterator[Node]:
    """All nodes, parents before their children."""
    stack = [*roots]
    while stack:
        node = stack.pop()
        stack += node.children
        yield node


# --- ORDEREDSUBJECT


def by_subject(messages: Messages) -> list[Node]:
    """One thread per base subject: the earliest message, with all others as its children."""
    threads: dict[str, list[Node]] = {}
    for position in sorted(messages.positions, key=messages.date):
        threads.setdefault(messages.subject(position).text, []).append(Node(position))
    roots = [thread[0] for thread in threads.values()]
    for root, thread in zip(roots, threads.values(), strict=True):
        root.children = thread[1:]
    return roots


# --- REFERENCES


def by_references(messages: Messages) -> list[Node]:
    """Threads by References and In-Reply-To, then by subject."""
    roots = _prune_dummies(_Linking(messages).roots())  # steps 1 to 3
    for root in roots:
        messages.sort(root.children)
    messages.sort(roots)  # step 4
    roots = _join_subjects(messages, roots)  # step 5
    for node in _preorder(roots):
        messages.sort(node.children)
    messages.sort(roots)  # step 6
    return roots


class _Linking:
    """Step 1: link messages and the messages they refer to."""

    def __init__(self, messages: Messages) -> None:
        self._by_id: dict[str, Node] = {}
        self._without_id: list[Node] = []  # without a message ID, or with a duplicate one
        self._steps = MAX_LOOP_CHECK_STEPS + LOOP_CHECK_STEPS_PER_MESSAGE * len(messages.positions)
        for position in messages.positions:
            self._add(position, messages.summary(position))

    def roots(self) -> list[Node]:
        """Step 2: the nodes without a parent. Adds all others to the children of their parents."""
        roots = []
        for node in (*self._by_id.values(), *self._without_id):
            if node.parent is None:
                roots.append(node)
            else:
                node.parent.children.append(node)
        return roots

    def _add(self, position: int, summary: Summary) -> None:
        message, parent = self._node_for(position, summary.header_message_id), None
        for reference in summary.references:
            node = self._node(reference)
            if parent is not None and node.parent is None:
                self._link(parent, node)
            parent = node
        message.parent = None  # a message's own references take precedence over those of other messages
        if parent is not None:
            self._link(parent, message)

    def _node_for(self, position: int, message_id: str) -> Node:
        node = self._node(message_id) if message_id else None
        if node is None or node.position is not None:
            node = Node()
            self._without_id.append(node)
        node.position = position
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
        """Whether the child is the parent or one of its ancestors."""
        above: Node | None = parent
        while above is not None and above is not child:
            if not child.had_children:
                return False
            above = above.parent
            self._steps -= 1
            if self._steps < 0:
                return True
        return above is child


def _prune_dummies(roots: list[Node]) -> list[Node]:
    """Step 3: replace dummies by their children; at the root only those with one child."""
    for node in [*_preorder(roots)][::-1]:
        node.children = _replace_dummies(node.children)
    return [node for root in roots for node in (_replace_dummy(root) if len(root.children) < 2 else [root])]


def _replace_dummies(children: list[Node]) -> list[Node]:
    """The children, with dummies replaced. Extends the longest list, so that a chain of dummies copies nothing."""
    lists = [child.children if child.position is None else [child] for child in children]
    replaced = max(lists, key=len, default=[])
    for others in lists:
        if others is not replaced:
            replaced += others
    return replaced


def _replace_dummy(node: Node) -> list[Node]:
    return node.children if node.position is None else [node]


def _join_subjects(messages: Messages, roots: list[Node]) -> list[Node]:
    """Step 5: merge threads with the same subject, replies below originals."""
    table = _subject_table(messages, roots)
    joined: dict[Node, None] = dict.fromkeys(roots)
    for node in roots:
        subject = _subject(messages, node)
        first = table.get(subject.text, node)
        if first is node:
            continue
        del joined[node]
        if first.position is None:
            first.children += _replace_dummy(node)
        elif node.position is not None and subject.is_reply and not _subject(messages, first).is_reply:
            first.children.append(node)
        else:
            del joined[first]
            table[subject.text] = dummy = Node(children=[first, node])
            joined[dummy] = None
    return [*joined]


def _subject_table(messages: Messages, roots: list[Node]) -> dict[str, Node]:
    """Steps 5.A and 5.B: the root for each subject; dummies and originals are preferred to replies."""
    table: dict[str, Node] = {}
    for node in roots:
        subject = _subject(messages, node)
        if not subject.text:
            continue
        first = table.setdefault(subject.text, node)
        if first.position is not None and (
            node.position is None or (_subject(messages, first).is_reply and not subject.is_reply)
        ):
            table[subject.text] = node
    return table


def _subject(messages: Messages, node: Node) -> BaseSubject:
    """A dummy has the subject of its first child."""
    while node.position is None:
        node = node.children[0]
    return messages.subject(node.position)
