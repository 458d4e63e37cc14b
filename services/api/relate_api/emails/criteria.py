"""Translates the terms of a query to criteria of the mail store. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from relate_api.emails.query_language import QueryError, Term
from relate_api.schemas import first_second, parse_moment
from relate_mailstore.criteria import (
    Condition,
    Criterion,
    HasAttachment,
    HasFlag,
    HasKeyword,
    HasText,
    InMailbox,
    IsLarger,
    IsSince,
    Place,
)
from relate_mailstore.types import Flag, Mailbox

LABEL_PATTERN = r"^[A-Za-z0-9$_.+-]{1,64}$"
"""Labels are IMAP keywords, which are atoms (RFC 9051 §9)."""

ANYWHERE = "anywhere"
"""The value of `in:` that means all mailboxes."""

_LABEL = re.compile(LABEL_PATTERN.removeprefix("^").removesuffix("$"))
_SIZE = re.compile(r"([0-9]{1,12})([kmg]?)b?", re.IGNORECASE)
_UNIT_OCTETS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_STATES: Mapping[str, Criterion] = {
    "read": Criterion(HasFlag(Flag.SEEN)),
    "unread": Criterion(HasFlag(Flag.SEEN), negated=True),
    "flagged": Criterion(HasFlag(Flag.FLAGGED)),
}


def names_mailbox(terms: Iterable[Term]) -> bool:
    """Whether the query says in which mailboxes it searches."""
    return any(term.operator == "in" for term in terms)


def to_criteria(terms: Iterable[Term], mailboxes: Sequence[Mailbox]) -> tuple[Criterion, ...]:
    """The criteria of a query. `mailboxes` are the account's, of which `in:` names one. Raises QueryError."""
    return tuple(_to_criterion(term, mailboxes) for term in terms if not _is_anywhere(term))


def _is_anywhere(term: Term) -> bool:
    return (term.operator, term.value.lower(), term.negated) == ("in", ANYWHERE, False)


def _to_criterion(term: Term, mailboxes: Sequence[Mailbox]) -> Criterion:
    try:
        if term.operator == "in":
            criterion = Criterion(InMailbox(_find_mailbox(term.value, mailboxes)))
        else:
            criterion = _CRITERIA[term.operator](term.value)
    except ValueError as error:
        raise QueryError(str(error), term.position) from None
    return Criterion(criterion.condition, criterion.negated is not term.negated)


def _find_mailbox(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """The mailbox of this name, else of this name in another case, else of this special use; else the name."""
    folded = name.casefold()
    exact = (mailbox.name for mailbox in mailboxes if mailbox.name == name)
    similar = (mailbox.name for mailbox in mailboxes if mailbox.name.casefold() == folded)
    special = (mailbox.name for mailbox in mailboxes if mailbox.special_use.casefold() == f"\\{folded}")
    return next(exact, next(similar, next(special, name)))


def _condition(make: Callable[[str], Condition], negated: bool = False) -> Callable[[str], Criterion]:
    return lambda value: Criterion(make(value), negated)


def _has(value: str) -> Criterion:
    if value.lower() != "attachment":
        raise ValueError("expected has:attachment")
    return Criterion(HasAttachment())


def _is(value: str) -> Criterion:
    state = _STATES.get(value.lower())
    if state is None:
        raise ValueError(f"expected one of: {', '.join(_STATES)}")
    return state


def _label(value: str) -> Condition:
    if _LABEL.fullmatch(value) is None:
        raise ValueError("a label has at most 64 of the characters A-Z a-z 0-9 $ _ . + -")
    return HasKeyword(value)


def parse_octets(value: str) -> int:
    """A size as people type it: `500`, `20K`, `1M`. Raises ValueError."""
    size = _SIZE.fullmatch(value)
    if size is None:
        raise ValueError("expected a number of octets such as 500, 20K or 1M")
    return int(size[1]) * _UNIT_OCTETS[size[2].lower()]


_CRITERIA: Mapping[str, Callable[[str], Criterion]] = {
    "": _condition(HasText),
    "from": _condition(lambda value: HasText(value, Place.FROM)),
    "to": _condition(lambda value: HasText(value, Place.TO)),
    "cc": _condition(lambda value: HasText(value, Place.CC)),
    "subject": _condition(lambda value: HasText(value, Place.SUBJECT)),
    "has": _has,
    "is": _is,
    "label": _condition(_label),
    "after": _condition(lambda value: IsSince(first_second(parse_moment(value)))),
    "before": _condition(lambda value: IsSince(first_second(parse_moment(value))), negated=True),
    "larger": _condition(lambda value: IsLarger(parse_octets(value))),
    "smaller": _condition(lambda value: IsLarger(parse_octets(value) - 1), negated=True),
}
