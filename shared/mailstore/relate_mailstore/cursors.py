"""The order of the REST API's message list, and the cursors of its pages. Pure."""

import re
from uuid import UUID

from relate_mailstore.types import ListedMessage

_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")  # 18 digits fit into 64 bits


def list_position(row: ListedMessage) -> tuple[int, UUID]:
    """The sort key: by time of receipt, within one second by message id, which ascends."""
    return row.message.received, row.message.id


def encode_cursor(row: ListedMessage) -> str:
    """The cursor of the page that follows this row."""
    received, message_id = list_position(row)
    return f"{received}.{message_id}"


def parse_cursor(cursor: str) -> tuple[int, UUID]:
    """The position of the row before the page. Raises ValueError for a string that `encode_cursor` cannot return."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValueError("not a cursor")
    return int(match[1]), UUID(match[2])
