"""Whether a message meets the conditions of a filter. Pure: deliveries and tests of filters share this evaluator.

The cost is linear in the fields of the header, which are bounded; the text of the body is only asked for where all
other conditions hold.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from relate_mailstore.errors import FilterNotFound
from relate_mailstore.filter_types import Conditions, DeliveryFilter, Filter, FilterId
from relate_mailstore.folding import fold
from relate_mailstore.identifiers import MessageId
from relate_mime import Address, MessageIndex

MAX_FILTERS = 100
"""Per account: each is evaluated for each of its messages."""

STEP_PRIORITIES = 10
"""Between filters that were put in order, so that another fits between two."""

MAX_FIELD_CHARACTERS = 16_384
"""Of the addresses of a field that are compared: some 500, more than a filter is about."""

HasText = Callable[[str], bool]
"""Whether the body has this folded text."""


class Fields(NamedTuple):
    """What filters compare of a message without its body: addresses case-folded, the subject folded as searches do."""

    senders: str
    recipients: str
    subject: str
    has_attachments: bool
    octets: int


@dataclass(frozen=True, slots=True)
class Match:
    """A filter whose conditions hold, or one that could not be evaluated, which has a `problem`."""

    filter: DeliveryFilter
    problem: str = ""


def fields_of(index: MessageIndex, folded_subject: str) -> Fields:
    """The fields of an indexed message, whose subject was folded before, because that may take long."""
    senders, recipients = index.senders or (index.sender,), (*index.to, *index.cc)
    return Fields(_addresses(senders), _addresses(recipients), folded_subject, bool(index.attachments), index.size)


def meets_header(conditions: Conditions, fields: Fields) -> bool:
    """Whether all conditions hold but that of the body."""
    return (
        (conditions.has_attachments is None or conditions.has_attachments is fields.has_attachments)
        and (conditions.larger is None or fields.octets > conditions.larger)
        and conditions.from_address.casefold() in fields.senders
        and conditions.to_address.casefold() in fields.recipients
        and fold(conditions.subject) in fields.subject
    )


def meeting_header(conditions: Conditions, indexes: Mapping[MessageId, MessageIndex]) -> Mapping[MessageId, Fields]:
    """The fields of those of some messages for which all conditions hold but that of the body, in their order."""
    fields = {message_id: fields_of(index, fold(index.subject)) for message_id, index in indexes.items()}
    return {message_id: one for message_id, one in fields.items() if meets_header(conditions, one)}


def meets(conditions: Conditions, fields: Fields, has_text: HasText) -> bool:
    """Whether all conditions hold."""
    return meets_header(conditions, fields) and (not conditions.body or has_text(fold(conditions.body)))


def moved_priorities(filters: Sequence[Filter], filter_id: FilterId, places: int) -> Mapping[FilterId, int]:
    """The priorities that change so that one of the `filters`, in their order, acts `places` later.

    Priorities may be equal, so that two of them cannot just be exchanged. Raises FilterNotFound.
    """
    before = {one.id: one.rule.priority for one in filters}
    if filter_id not in before:
        raise FilterNotFound(f"filter {filter_id}")
    order = [*before]
    place = order.index(filter_id)
    target = min(max(place + places, 0), len(order) - 1)
    if target == place:
        return {}
    order.insert(target, order.pop(place))
    after = {each: STEP_PRIORITIES * number for number, each in enumerate(order, start=1)}
    return {each: priority for each, priority in after.items() if priority != before[each]}


def find_matches(
    filters: Iterable[DeliveryFilter], read_fields: Callable[[], Fields], has_text: HasText
) -> Sequence[Match]:
    """The filters whose conditions hold, in their order. One that cannot be evaluated is a match with a problem."""
    return [match for match in (_match(one, read_fields, has_text) for one in filters) if match is not None]


def _match(one: DeliveryFilter, read_fields: Callable[[], Fields], has_text: HasText) -> Match | None:
    try:
        return Match(one) if meets(one.conditions, read_fields(), has_text) else None
    except Exception as error:  # noqa: BLE001 - no mail is lost because of a filter
        return Match(one, f"evaluation failed: {type(error).__name__}")


def _addresses(addresses: Iterable[Address]) -> str:
    """Addresses in one text; no condition has the NUL between them, so that no match spans two."""
    return "\0".join([address.address for address in addresses])[:MAX_FIELD_CHARACTERS].casefold()
