"""The folded text of a message's header that lists and SEARCH compare; `messages.search` stores it. Pure."""

from collections.abc import Sequence

from relate_mailstore.folding import fold
from relate_mailstore.types import Summary
from relate_mime import Address, MessageIndex
from relate_mime.charsets import MAX_TEXT_CHARACTERS
from relate_mime.groups import people_with_groups

EMPTY_SUMMARY = Summary("", "", "", "", "", None, 0, "", (), "")
"""Stands for a message that was expunged."""


def summary_text(index: MessageIndex) -> str:
    """Subject, From, To, Cc, Bcc and preview, folded, one per line so that no match spans two fields.

    The name of a group is `<name>`, where the group begins.
    """
    people = map(_people_text, people_with_groups(index))
    return "\n".join((fold(index.subject)[:MAX_TEXT_CHARACTERS], *map(fold, people), fold(index.preview)))


def split_summary_text(text: str) -> tuple[str, str, str, str, str]:
    """The first five fields of a `Summary`, from its `summary_text`."""
    subject, sender, to, cc, bcc, _ = text.split("\n", 5)
    return subject, sender, to, cc, bcc


def _people_text(people: Sequence[Address]) -> str:
    return ", ".join([f"{name} <{address}>" if name else f"<{address}>" for name, address in people if name or address])
