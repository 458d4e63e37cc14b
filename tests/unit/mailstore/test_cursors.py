"""Cursors of the REST API's message list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.cursors import encode_cursor, list_position, parse_cursor
from relate_mailstore.types import AccountId, ListedMessage, Message, MessageId
from relate_mime import index_message


def listed(received: int, message_id: MessageId) -> ListedMessage:
    message = Message(message_id, AccountId(1), index_message(b""), received, None)
    return ListedMessage(message, 0, (), ("INBOX",))


@given(st.integers(-(10**17), 10**17), st.uuids().map(MessageId))
def test_cursor_parses_to_its_position(received: int, message_id: MessageId) -> None:
    row = listed(received, message_id)
    assert parse_cursor(encode_cursor(row)) == list_position(row)


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        parse_cursor(text)
