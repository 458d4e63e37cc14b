"""What is done when a draft is sent: the message that it answers is marked. A field of the draft names it until then.

In-Reply-To would not do, because it may name several copies, and a forwarded message is in no field.
"""

import re
from uuid import UUID

from relate_api.compose.answers import FORWARDED, REPLIED
from relate_api.compose.sending import Changes, Written
from relate_mailstore.types import MessageId
from relate_submission.header import Header

FIELD = "X-Relate-Answers"

_NAME = FIELD.lower().encode()
_MARKS = {"reply": REPLIED, "forward": FORWARDED}
_VALUE = re.compile(rb"\s*(reply|forward) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*")


def with_pending(written: Written) -> bytes:
    """Take the message, with a field that tells what it answers, if it answers one."""
    answered, mark = written.changes.answered, written.changes.mark
    message = written.take()
    if answered is None:
        return message
    (kind,) = [kind for kind, change in _MARKS.items() if change == mark]
    return f"{FIELD}: {kind} {answered}\r\n".encode() + message


def without_pending(message: bytes, draft: MessageId) -> Written:
    """The message of a draft to be sent, without such fields, and what changes with it. Raises TooManyFields.

    Its Date, which was that of its writing, is removed: it gets that of its sending (RFC 5322 §3.6.1).
    """
    header = Header(message)
    if fields := [*header.fields(_NAME), *header.fields(b"date")]:
        message = header.without(fields) + message[len(header.octets) :]
    return Written(message, read_pending(header, draft))


def read_pending(header: Header, draft: MessageId) -> Changes:
    """What changes when a draft with this header is sent. Raises TooManyFields."""
    values = [match for field in header.fields(_NAME) if (match := _VALUE.fullmatch(field.value))]
    if not values:
        return Changes(draft)
    kind, answered = values[0].groups()
    return Changes(draft, MessageId(UUID(answered.decode())), _MARKS[kind.decode()])
