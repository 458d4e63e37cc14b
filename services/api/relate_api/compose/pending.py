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
    """The message of a draft to be sent, without such fields, and what changes with it. Raises TooManyFields."""
    header = Header(message)
    fields = [*header.fields(FIELD.lower().encode())]
    values = [match for field in fields if (match := _VALUE.fullmatch(field.value))]
    if fields:
        message = header.without(fields) + message[len(header.octets) :]
    if not values:
        return Written(message, Changes(draft))
    kind, answered = values[0].groups()
    return Written(message, Changes(draft, MessageId(UUID(answered.decode())), _MARKS[kind.decode()]))
