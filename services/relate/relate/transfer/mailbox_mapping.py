"""Maps the mailboxes of another server to ours: hierarchy delimiter, namespace prefix, special use. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from relate_imap.handlers.mailboxes import SPECIAL_USES
from relate_mailstore.errors import InvalidMailboxName
from relate_mailstore.mailbox_names import DELIMITER, check_new_name
from relate_mailstore.types import INBOX

_UNSELECTABLE = frozenset(("\\NOSELECT", "\\NONEXISTENT"))
# Replaces "/" inside a level if the other server's delimiter differs: looks alike, but is not our delimiter.
_DIVISION_SLASH = "\N{DIVISION SLASH}"

_Path = tuple[str, ...]


class RemoteMailbox(NamedTuple):
    """A LIST response. `attributes` are in upper case; `personal` is the prefix of the personal namespace."""

    name: str
    delimiter: str
    attributes: frozenset[str]
    subscribed: bool
    personal: str = ""


class MappedMailbox(NamedTuple):
    """A mailbox of the other server and the target of its messages."""

    remote_name: str
    name: str
    special_use: str
    subscribed: bool


class RejectedMailbox(NamedTuple):
    """A mailbox of the other server whose name is not valid here."""

    remote_name: str
    reason: str


def map_mailboxes(
    mailboxes: Sequence[RemoteMailbox], special_uses: Mapping[str, str]
) -> tuple[Sequence[MappedMailbox], Sequence[RejectedMailbox]]:
    """Map all mailboxes that hold messages, INBOX first.

    A mailbox with a special use maps to ours with that use (`special_uses`: names by use), and mailboxes below it to
    names below ours. The prefix of the personal namespace ("INBOX.") is removed.
    """
    paths = {mailbox.name: _split_path(mailbox) for mailbox in mailboxes}
    uses = _special_use_paths(mailboxes, paths)
    mapped, rejected = [], []
    for mailbox in sorted(mailboxes, key=lambda mailbox: (paths[mailbox.name] != (INBOX,), paths[mailbox.name])):
        if mailbox.attributes & _UNSELECTABLE:
            continue
        path = paths[mailbox.name]
        try:
            name = check_new_name(_target_name(path, uses, special_uses))
        except InvalidMailboxName as error:
            rejected.append(RejectedMailbox(mailbox.name, str(error)))
        else:
            mapped.append(MappedMailbox(mailbox.name, name, uses.get(path, ""), mailbox.subscribed))
    return mapped, rejected


def _split_path(mailbox: RemoteMailbox) -> _Path:
    name = mailbox.name
    if mailbox.personal and name.startswith(mailbox.personal) and name != mailbox.personal:
        name = name[len(mailbox.personal) :]
    levels = [level for level in name.split(mailbox.delimiter) if level] if mailbox.delimiter else [name]
    if len(levels) == 1 and levels[0].upper() == INBOX:
        return (INBOX,)
    return tuple(level.replace(DELIMITER, _DIVISION_SLASH) for level in levels)


def _special_use_paths(mailboxes: Iterable[RemoteMailbox], paths: Mapping[str, _Path]) -> dict[_Path, str]:
    uses: dict[str, _Path] = {}
    for mailbox in mailboxes:
        for attribute in sorted(mailbox.attributes & SPECIAL_USES.keys()):
            if mailbox.name.upper() != INBOX:
                uses.setdefault(SPECIAL_USES[attribute], paths[mailbox.name])
    return {path: use for use, path in uses.items()}


def _target_name(path: _Path, uses: Mapping[_Path, str], special_uses: Mapping[str, str]) -> str:
    if (use := uses.get(path)) and use in special_uses:
        return special_uses[use]
    if len(path) < 2:
        return DELIMITER.join(path)
    return DELIMITER.join((_target_name(path[:-1], uses, special_uses), path[-1]))
