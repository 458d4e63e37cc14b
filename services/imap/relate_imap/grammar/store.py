"""STORE, COPY, MOVE, UID EXPUNGE (RFC 9051 §6.4.6-8, RFC 4315, RFC 7162 §3.1.3)."""

from relate_imap.commands import Copy, FlagList, Store, StoreMode, UidExpunge
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.flags import collect, flag, flag_list
from relate_imap.grammar.mailbox_names import mailbox
from relate_mailstore.types import ModSeq


def copy(cursor: Cursor, tag: str, verb: str) -> Copy:
    """COPY numbers mailbox, MOVE likewise"""
    cursor.expect_space()
    numbers = cursor.sequence_set()
    cursor.expect_space()
    name = mailbox(cursor)
    cursor.expect_end()
    return Copy(tag, verb, numbers, name)


def uid_expunge(cursor: Cursor, tag: str, _: str) -> UidExpunge:
    """UID EXPUNGE uids"""
    cursor.expect_space()
    numbers = cursor.sequence_set()
    cursor.expect_end()
    return UidExpunge(tag, numbers)


def store(cursor: Cursor, tag: str, verb: str) -> Store:
    """STORE numbers [(UNCHANGEDSINCE modseq)] [+|-]FLAGS[.SILENT] flags"""
    cursor.expect_space()
    numbers = cursor.sequence_set()
    cursor.expect_space()
    unchanged_since = None
    if cursor.starts_with(b"("):
        unchanged_since = _unchanged_since(cursor)
        cursor.expect_space()
    mode = _mode(cursor)
    silent = cursor.accept(b".SILENT")
    cursor.expect_space()
    flags = _flags(cursor)
    cursor.expect_end()
    return Store(tag, verb, numbers, mode, flags, silent, unchanged_since)


def _mode(cursor: Cursor) -> StoreMode:
    for mode in StoreMode:
        if cursor.accept(mode.value.encode()):
            return mode
    raise Malformed("FLAGS is expected")


def _unchanged_since(cursor: Cursor) -> ModSeq:
    [modseq] = cursor.parenthesized(_modifier, maximum=1)
    return modseq


def _modifier(cursor: Cursor) -> ModSeq:
    cursor.expect(b"UNCHANGEDSINCE", "Unknown modifier")
    cursor.expect_space()
    return ModSeq(cursor.number64())


def _flags(cursor: Cursor) -> FlagList:
    if cursor.starts_with(b"("):
        return flag_list(cursor)
    return collect([flag(cursor), *cursor.remaining(flag)])
