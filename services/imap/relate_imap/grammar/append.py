"""APPEND and REPLACE (RFC 9051 §6.3.12, RFC 3502, RFC 3516, RFC 8508, RFC 9755 §4)."""

from relate_imap.commands import Append, AppendMessage, FlagList, Replace
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.dates import date_time
from relate_imap.grammar.flags import flag_list
from relate_imap.grammar.mailbox_names import mailbox


def append(cursor: Cursor, tag: str, _: str) -> Append:
    """APPEND mailbox message …"""
    cursor.expect_space()
    name = mailbox(cursor)
    cursor.expect_space()
    return Append(tag, name, (_message(cursor), *cursor.remaining(_message)))


def replace(cursor: Cursor, tag: str, verb: str) -> Replace:
    """REPLACE number mailbox message"""
    cursor.expect_space()
    number = 0 if cursor.accept(b"*") else cursor.number(1)
    cursor.expect_space()
    name = mailbox(cursor)
    cursor.expect_space()
    message = _message(cursor)
    cursor.expect_end()
    return Replace(tag, verb, number, name, message)


def _message(cursor: Cursor) -> AppendMessage:
    """[(flag …)] [date-time] literal, or UTF8 (literal8)"""
    flags, internal_date = FlagList(), None
    if cursor.starts_with(b"("):
        flags = flag_list(cursor)
        cursor.expect_space()
    if cursor.starts_with(b'"'):
        internal_date = date_time(cursor)
        cursor.expect_space()
    if cursor.accept(b"UTF8 ("):
        octets = cursor.literal8()
        if octets is None:
            raise Malformed("A literal8 is expected")
        cursor.expect(b")", "A parenthesis is expected")
        return AppendMessage(octets, flags, internal_date, utf8=True)
    octets = cursor.literal()
    if octets is None:
        octets = cursor.literal8()
    if octets is None:
        raise Malformed("A literal is expected")
    return AppendMessage(octets, flags, internal_date)
