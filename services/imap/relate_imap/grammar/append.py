"""APPEND and REPLACE (RFC 9051 §6.3.12, RFC 3502, RFC 3516, RFC 8508, RFC 9755 §4)."""

from relate_imap.commands import Append, AppendMessage, FlagList, Replace
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.dates import date_time
from relate_imap.grammar.flags import flag_list
from relate_imap.grammar.mailbox_names import mailbox


def append(cursor: Cursor, tag: str, _: str) -> Append:
    """APPEND mailbox message …"""
    cursor.space()
    name = mailbox(cursor)
    cursor.space()
    return Append(tag, name, (_message(cursor), *cursor.others(_message)))


def replace(cursor: Cursor, tag: str, verb: str) -> Replace:
    """REPLACE number mailbox message"""
    cursor.space()
    number = 0 if cursor.accepts(b"*") else cursor.number(1)
    cursor.space()
    name = mailbox(cursor)
    cursor.space()
    message = _message(cursor)
    cursor.end()
    return Replace(tag, verb, number, name, message)


def _message(cursor: Cursor) -> AppendMessage:
    """[(flag …)] [date-time] literal, or UTF8 (literal8)"""
    flags, moment = FlagList(), None
    if cursor.sees(b"("):
        flags = flag_list(cursor)
        cursor.space()
    if cursor.sees(b'"'):
        moment = date_time(cursor)
        cursor.space()
    if cursor.accepts(b"UTF8 ("):
        octets = cursor.literal8()
        if octets is None:
            raise Malformed("A literal8 is expected")
        cursor.expect(b")", "A parenthesis is expected")
        return AppendMessage(octets, flags, moment, utf8=True)
    octets = cursor.literal()
    if octets is None:
        octets = cursor.literal8()
    if octets is None:
        raise Malformed("A literal is expected")
    return AppendMessage(octets, flags, moment)
