"""The names of another server's mailboxes, mapped to ours: delimiter, namespace, special use. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from relate_imap.handlers.mailboxes import SPECIAL_USES, new_name
from relate_imap.replies import Refused
from relate_mailstore.mailbox_names import DELIMITER
from relate_mailstore.types import INBOX

_UNSELECTABLE = frozenset(("\\NOSELECT", "\\NONEXISTENT"))
# In a level of a name where the delimiter is another one: looks like ours, and separates nothing.
_DIVISION_SLASH = "\N{DIVISION SLASH}"

_Path = tuple[str, ...]


class Listed(NamedTuple):
    """One name of a LIST response. `attributes` are in upper case; `personal` is the prefix of the own namespace."""

    name: str
    delimiter: str
    attributes: frozenset[str]
    subscribed: bool
    personal: str = ""


class Target(NamedTuple):
    """A mailbox there, and the one here that its messages go into."""

    there: str
    name: str
    special_use: str
    subscribed: bool


class Refusal(NamedTuple):
    """A mailbox there that can have no mailbox here."""

    there: str
    reason: str


def map_names(listed: Sequence[Listed], special_uses: Mapping[str, str]) -> tuple[Sequence[Target], Sequence[Refusal]]:
    """Targets for all mailboxes that hold messages, INBOX first.

    A mailbox with a special use goes into the one here that has it (`special_uses`: names by use), and those below it
    below that one. The prefix of the personal namespace ("INBOX.") is left out.
    """
    paths = {one.name: _path(one) for one in listed}
    uses = _first_of_each_use(listed, paths)
    targets, refusals = [], []
    for one in sorted(listed, key=lambda one: (paths[one.name] != (INBOX,), paths[one.name])):
        if one.attributes & _UNSELECTABLE:
            continue
        path = paths[one.name]
        try:
            name = new_name(_name(path, uses, special_uses))
        except Refused as refused:
            refusals.append(Refusal(one.name, str(refused)))
        else:
            targets.append(Target(one.name, name, uses.get(path, ""), one.subscribed))
    return targets, refusals


def _path(one: Listed) -> _Path:
    name = one.name
    if one.personal and name.startswith(one.personal) and name != one.personal:
        name = name[len(one.personal) :]
    levels = [level for level in name.split(one.delimiter) if level] if one.delimiter else [name]
    if len(levels) == 1 and levels[0].upper() == INBOX:
        return (INBOX,)
    return tuple(level.replace(DELIMITER, _DIVISION_SLASH) for level in levels)


def _first_of_each_use(listed: Iterable[Listed], paths: Mapping[str, _Path]) -> dict[_Path, str]:
    uses: dict[str, _Path] = {}
    for one in listed:
        for attribute in sorted(one.attributes & SPECIAL_USES.keys()):
            if one.name.upper() != INBOX:
                uses.setdefault(SPECIAL_USES[attribute], paths[one.name])
    return {path: use for use, path in uses.items()}


def _name(path: _Path, uses: Mapping[_Path, str], special_uses: Mapping[str, str]) -> str:
    if (use := uses.get(path)) and use in special_uses:
        return special_uses[use]
    if len(path) < 2:
        return DELIMITER.join(path)
    return DELIMITER.join((_name(path[:-1], uses, special_uses), path[-1]))
