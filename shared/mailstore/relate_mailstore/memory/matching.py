"""Whether a message matches a query."""

from relate_mailstore.criteria import (
    Condition,
    HasAttachment,
    HasFlag,
    HasKeyword,
    HasText,
    InMailbox,
    IsLarger,
    IsSince,
)
from relate_mailstore.folding import fold
from relate_mailstore.keywords import key_of
from relate_mailstore.listing import criteria_of
from relate_mailstore.memory.mailbox import StoredMessage
from relate_mailstore.summary_text import summary_text
from relate_mailstore.types import ListedMessage, MessageQuery


def matches(stored: StoredMessage, query: MessageQuery) -> bool:
    """Whether the message matches all filters of the query."""
    if query.thread is not None and stored.thread != query.thread:
        return False
    listed = stored.listed()
    return all(_meets(listed, criterion.condition) is not criterion.negated for criterion in criteria_of(query))


def _meets(row: ListedMessage, condition: Condition) -> bool:
    match condition:
        case HasText(text, place):
            searched = summary_text(row.message.index)
            return fold(text) in (searched if place is None else searched.split("\n")[place])
        case HasFlag(flag):
            return bool(row.flags & flag)
        case HasKeyword(keyword):
            return key_of(keyword) in map(key_of, row.keywords)
        case InMailbox(name):
            return name in row.mailboxes
        case HasAttachment():
            return row.message.index.attachments > 0
        case IsSince(seconds):
            return row.message.received >= seconds
        case IsLarger(octets):
            return row.message.index.size > octets
