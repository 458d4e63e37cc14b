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
from relate_mailstore.filter_types import Label
from relate_mailstore.keywords import key_of
from relate_mailstore.label_rules import name_key
from relate_mailstore.mailbox_names import find_name, normal_form
from relate_mailstore.types import Flag, Mailbox

LABEL_PATTERN = r"^[A-Za-z0-9$_.+-]{1,64}$"
"""Labels that a request may add: IMAP keywords that need no quoting anywhere."""

KEYWORD_PATTERN = r"^[!#$&'+,./0-9:;<=>?@A-Z\[^_`a-z|}~-]{1,255}$"
"""The IMAP keywords that messages may have: atoms (RFC 9051 §9)."""

ANYWHERE = "anywhere"
"""The value of `in:` that means all mailboxes."""

_KEYWORD = re.compile(KEYWORD_PATTERN.removeprefix("^").removesuffix("$"))
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


def names_label(terms: Iterable[Term]) -> bool:
    """Whether the query names a label."""
    return any(term.operator == "label" for term in terms)


def to_criteria(
    terms: Iterable[Term], mailboxes: Sequence[Mailbox], labels: Sequence[Label] = ()
) -> tuple[Criterion, ...]:
    """The criteria of a query. `in:` names one of the account's `mailboxes`, `label:` one of its `labels`.

    Raises QueryError.
    """
    return tuple(_to_criterion(term, mailboxes, labels) for term in terms if not _is_anywhere(term))


def _is_anywhere(term: Term) -> bool:
    """Whether the term means all mailboxes. Raises QueryError for its negation, which nothing would meet."""
    is_anywhere = (term.operator, term.value.lower()) == ("in", ANYWHERE)
    if is_anywhere and term.negated:
        raise QueryError("every message is somewhere, so that this would find nothing", term.position)
    return is_anywhere


def _to_criterion(term: Term, mailboxes: Sequence[Mailbox], labels: Sequence[Label]) -> Criterion:
    try:
        if term.operator == "in":
            criterion = Criterion(InMailbox(_find_mailbox(term.value, mailboxes)))
        elif term.operator == "label":
            criterion = Criterion(HasKeyword(_find_keyword(term.value, labels)))
        else:
            criterion = _CRITERIA[term.operator](term.value)
    except ValueError as error:
        raise QueryError(str(error), term.position) from None
    return Criterion(criterion.condition, criterion.negated is not term.negated)


def _find_mailbox(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """The mailbox of this name, else of this name in another case, else of this special use; else the name."""
    exact = find_name((mailbox.name for mailbox in mailboxes), name)
    if exact is not None:
        return exact
    folded = normal_form(name).casefold()
    similar = (mailbox.name for mailbox in mailboxes if normal_form(mailbox.name).casefold() == folded)
    special = (mailbox.name for mailbox in mailboxes if mailbox.special_use.casefold() == f"\\{folded}")
    return next(similar, next(special, name))


def _find_keyword(value: str, labels: Sequence[Label]) -> str:
    """The keyword of a label: `value` if it is one, else that of the stored label with this name, else `value`.

    Raises ValueError for what neither is a name nor can be a keyword.
    """
    if key_of(value) not in {key_of(label.keyword) for label in labels}:
        key = name_key(value)
        for label in labels:
            if label.is_stored and name_key(label.style.name) == key:
                return label.keyword
    if _KEYWORD.fullmatch(value) is None:
        raise ValueError("no label has this name, which cannot be a keyword either")
    return value


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
    "after": _condition(lambda value: IsSince(first_second(parse_moment(value)))),
    "before": _condition(lambda value: IsSince(first_second(parse_moment(value))), negated=True),
    "larger": _condition(lambda value: IsLarger(parse_octets(value))),
    "smaller": _condition(lambda value: IsLarger(parse_octets(value) - 1), negated=True),
}
