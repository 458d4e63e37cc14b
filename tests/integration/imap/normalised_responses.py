"""Normalises responses to facts by name, which are comparable between servers.

Ignored are the order of untagged data, of flags and of FETCH items (RFC 9051 §7), texts, and the values of UIDVALIDITY,
MODSEQ and ids. Any other difference is reported.
"""

import calendar
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.integration.imap.dovecot_dialogues import StepResult
from tests.support.imap.responses import Response, Value, as_list, as_numbers, as_pairs, as_text

Facts = dict[str, Any]

SERVER_SPECIFIC = "some"  # stands for any value

_DATE = re.compile(r"([ \d]\d-\w{3}-\d{4} \d\d:\d\d:\d\d) ([+-])(\d\d)(\d\d)")
_SELECTS = re.compile(r"(?:SELECT|EXAMINE)\b", re.IGNORECASE)
_OWN_CODES = frozenset({"UIDVALIDITY", "HIGHESTMODSEQ", "MAILBOXID"})
_CASELESS = frozenset({"FLAGS", "PERMANENTFLAGS"})


class ClientState:
    """The message count that a client knows, to recognise repeated EXISTS."""

    def __init__(self) -> None:
        self.exists: int | None = None

    def facts(self, step: StepResult) -> Facts:
        """The facts in one result."""
        facts: Facts = {"tagged": step.result.status or "closed"}
        if step.result.tagged is not None and step.result.tagged.code and step.result.tagged.code_name != "CAPABILITY":
            facts[f"code {step.result.tagged.code_name}"] = _code(step.result.tagged)
        selects = bool(_SELECTS.match(step.command))
        self._count(step.result.untagged, facts, selects=selects)
        for response in step.result.untagged:
            if describe := _KINDS.get(response.kind):
                facts.update(describe(response))
            elif response.kind not in ("EXISTS", "EXPUNGE", "RECENT"):
                facts[response.kind] = response.values
            elif response.kind == "RECENT" and selects:
                facts["RECENT"] = response.number
        return facts

    def _count(self, responses: Iterable[Response], facts: Facts, *, selects: bool) -> None:
        """EXISTS with its last value, if it changed; EXPUNGE in the numbers of before the command."""
        before = None if selects else self.exists
        now, numbers, expunged = before, list[int](), list[int]()
        for response in responses:
            if response.kind == "EXISTS" and response.number is not None:
                now = response.number
            elif response.kind == "EXPUNGE" and response.number is not None:
                numbers = numbers or list(range(1, 2000))
                expunged.append(numbers.pop(response.number - 1))
                now = None if now is None else now - 1
            elif response.kind == "VANISHED" and len(response.values) == 1 and now is not None:
                now -= len(as_numbers(response.values[0]))
        if expunged:
            facts["EXPUNGE"] = tuple(sorted(expunged))
        arrived = now if before is None else (now or 0) - before + len(expunged)
        if now != before and arrived:
            facts["EXISTS"] = now
        self.exists = now


def _code(response: Response) -> Any:
    name, arguments = response.code_name, response.code[1:]
    if name in _OWN_CODES:
        return SERVER_SPECIFIC
    if name in ("APPENDUID", "COPYUID"):
        return SERVER_SPECIFIC, *(as_numbers(value) for value in arguments[1:])
    if name == "MODIFIED":
        return tuple(sorted(as_numbers(arguments[0])))
    if name == "PERMANENTFLAGS":
        return _flags(arguments[0])
    return arguments


def _status(response: Response) -> Facts:
    """A status response; OK without a response code is ignored."""
    if response.code:
        return {f"{response.kind} {response.code_name}": _code(response)}
    return {} if response.kind == "OK" else {response.kind: True}


def _flags(value: Value) -> frozenset[str]:
    return frozenset(as_text(flag).lower() for flag in as_list(value))


def _fetch(response: Response) -> Facts:
    return {
        f"FETCH {response.number} {name.replace(chr(34), '')}": _ITEMS.get(name, _unchanged)(value)
        for name, value in as_pairs(as_list(response.values[0])).items()
    }


def _unchanged(value: Value) -> Value:
    return value


def _server_specific(value: Value) -> str | None:
    return None if value is None else SERVER_SPECIFIC


def _instant(value: Value) -> int:
    match = _DATE.fullmatch(as_text(value))
    assert match is not None, value
    clock = calendar.timegm(time.strptime(match[1].strip(), "%d-%b-%Y %H:%M:%S"))
    zone = int(match[3]) * 3600 + int(match[4]) * 60
    return clock - zone if match[2] == "+" else clock + zone


def _structure(value: Value) -> Value:
    """BODYSTRUCTURE in lower case, because types, encodings and parameters are case-insensitive."""
    if isinstance(value, tuple):
        return tuple(_structure(one) for one in value)
    return None if value is None else value.lower()


def _list(response: Response) -> Facts:
    attributes, delimiter, name, *extended = response.values
    return {f"{response.kind} {as_text(name)}": (_flags(attributes), delimiter, tuple(extended))}


def _status_items(response: Response) -> Facts:
    name, items = response.values
    own = ("UIDVALIDITY", "HIGHESTMODSEQ", "MAILBOXID")
    return {
        f"STATUS {as_text(name)} {item}": SERVER_SPECIFIC if item in own else value
        for item, value in as_pairs(as_list(items)).items()
    }


def _search(response: Response) -> Facts:
    numbers = tuple(sorted(int(value) for value in response.values if isinstance(value, bytes)))
    modseq = {"SEARCH MODSEQ": SERVER_SPECIFIC} if any(isinstance(value, tuple) for value in response.values) else {}
    return {"SEARCH": numbers, **modseq}


def _esearch(response: Response) -> Facts:
    values = list(response.values)
    facts: Facts = {"ESEARCH": True}
    if values and isinstance(values[0], tuple):
        facts["ESEARCH TAG"] = values.pop(0)
    if values and values[0] == b"UID":
        facts["ESEARCH UID"] = bool(values.pop(0))
    for name, value in as_pairs(tuple(values)).items():
        facts[f"ESEARCH {name}"] = {"ALL": as_numbers, "MODSEQ": _server_specific}.get(name, _unchanged)(value)
    return facts


def _vanished(response: Response) -> Facts:
    kind = "VANISHED EARLIER" if isinstance(response.values[0], tuple) else "VANISHED"
    return {kind: tuple(sorted(as_numbers(response.values[-1])))}


def _resources(response: Response) -> Facts:
    """The resources of a quota root, whose name is server-specific."""
    return {"QUOTA": frozenset(as_text(name) for name in as_list(response.values[1])[::3])}


_ITEMS: Mapping[str, Callable[[Value], Any]] = {
    "FLAGS": _flags,
    "MODSEQ": _server_specific,
    "INTERNALDATE": _instant,
    "SAVEDATE": _server_specific,
    "EMAILID": _server_specific,
    "THREADID": _server_specific,
    "BODYSTRUCTURE": _structure,
    "BODY": _structure,
}

_KINDS: Mapping[str, Callable[[Response], Facts]] = {
    **dict.fromkeys(("OK", "NO", "BAD", "BYE"), _status),
    "FETCH": _fetch,
    "FLAGS": lambda response: {"FLAGS": _flags(response.values[0])},
    "LIST": _list,
    "LSUB": _list,
    "STATUS": _status_items,
    "SEARCH": _search,
    "ESEARCH": _esearch,
    "VANISHED": _vanished,
    "CAPABILITY": lambda _: {"CAPABILITY": SERVER_SPECIFIC},
    "ENABLED": lambda response: {"ENABLED": frozenset(as_text(value).upper() for value in response.values)},
    "ID": lambda _: {"ID": SERVER_SPECIFIC},
    "QUOTA": _resources,
    "QUOTAROOT": lambda response: {"QUOTAROOT": len(response.values)},
}


def differences(ours: list[StepResult], theirs: list[StepResult]) -> list[tuple[str, str, Any, Any]]:
    """(command, fact, ours, theirs); None for a missing fact."""
    clients: dict[str, tuple[ClientState, ClientState]] = {}
    found = []
    for mine, other in zip(ours, theirs, strict=True):
        one, another = clients.setdefault(mine.connection, (ClientState(), ClientState()))
        left, right = one.facts(mine), another.facts(other)
        found += [
            (mine.command, name, left.get(name), right.get(name))
            for name in sorted(left.keys() | right.keys())
            if left.get(name) != right.get(name)
        ]
    return found
