"""Commands on a mailbox: SELECT to RENAME, and quotas (RFC 9051 §6.3, RFC 6154 §3, RFC 7162, RFC 9208)."""

import re

from relate_imap.commands import Create, MailboxCommand, QresyncParameter, Rename, Select, SetQuota
from relate_imap.grammar.cursor import Cursor, Malformed, text_of
from relate_imap.grammar.mailbox_names import mailbox
from relate_imap.selected.sequence_set import STAR, SequenceSet
from relate_mailstore.types import ModSeq

_USE = re.compile(rb"\\[!#$&'+-\[^-z|}~]+")


def mailbox_command(cursor: Cursor, tag: str, verb: str) -> MailboxCommand:
    """A verb and a mailbox."""
    cursor.expect_space()
    name = mailbox(cursor)
    cursor.expect_end()
    return MailboxCommand(tag, verb, name)


def get_quota(cursor: Cursor, tag: str, verb: str) -> MailboxCommand:
    """GETQUOTA root, which is not a mailbox name."""
    cursor.expect_space()
    root = text_of(cursor.astring())
    cursor.expect_end()
    return MailboxCommand(tag, verb, root)


def set_quota(cursor: Cursor, tag: str, _: str) -> SetQuota:
    """SETQUOTA root (resource limit …)"""
    cursor.expect_space()
    root = text_of(cursor.astring())
    cursor.expect_space()
    cursor.parenthesized(_resource, may_be_empty=True)
    cursor.expect_end()
    return SetQuota(tag, root)


def rename(cursor: Cursor, tag: str, _: str) -> Rename:
    """RENAME mailbox new-name"""
    cursor.expect_space()
    name = mailbox(cursor)
    cursor.expect_space()
    new_name = mailbox(cursor)
    cursor.expect_end()
    return Rename(tag, name, new_name)


def create(cursor: Cursor, tag: str, _: str) -> Create:
    """CREATE mailbox [(USE (attribute …))]"""
    cursor.expect_space()
    name = mailbox(cursor)
    uses: list[list[str]] = []
    if not cursor.at_end:
        cursor.expect_space()
        uses = cursor.parenthesized(_uses)
    cursor.expect_end()
    if len(uses) > 1:
        raise Malformed("A parameter is given twice")
    return Create(tag, name, tuple(uses[0]) if uses else ())


def select(cursor: Cursor, tag: str, verb: str) -> Select:
    """SELECT mailbox [(CONDSTORE) | (QRESYNC (…))], EXAMINE likewise."""
    cursor.expect_space()
    name = mailbox(cursor)
    parameters: list[QresyncParameter | None] = []
    if not cursor.at_end:
        cursor.expect_space()
        parameters = cursor.parenthesized(_select_parameter, may_be_empty=True)  # Dovecot accepts an empty list
    cursor.expect_end()
    if len(set(parameters)) < len(parameters) or sum(one is not None for one in parameters) > 1:
        raise Malformed("A parameter is given twice")
    return Select(tag, verb, name, None in parameters, next(filter(None, parameters), None))


def _select_parameter(cursor: Cursor) -> QresyncParameter | None:
    """None is CONDSTORE."""
    match cursor.word():
        case "CONDSTORE":
            return None
        case "QRESYNC":
            cursor.expect_space()
            return _resync(cursor)
        case _:
            raise Malformed("Unknown parameter")


def _resync(cursor: Cursor) -> QresyncParameter:
    """(uidvalidity modseq [known-uids] [(known-sequence-set known-uid-set)])

    Dovecot accepts a UIDVALIDITY or modseq of 0, from a client that has not synchronized before.
    """
    cursor.expect(b"(", "A parenthesis is expected")
    cursor.skip_spaces()
    uid_validity = cursor.number()
    cursor.expect_space()
    modseq = ModSeq(cursor.number64())
    known_uids, match_data = None, None
    while not cursor.accept_close():
        cursor.expect_space()
        if match_data is None and cursor.starts_with(b"("):
            match_data = _match_data(cursor)
        elif known_uids is None and match_data is None:
            known_uids = _plain_set(cursor)
        else:
            raise Malformed("A parenthesis is expected")
    return QresyncParameter(uid_validity, modseq, known_uids, match_data)


def _match_data(cursor: Cursor) -> tuple[SequenceSet, SequenceSet]:
    sets = cursor.parenthesized(_plain_set, maximum=2)
    if len(sets) < 2:
        raise Malformed("A set of messages is expected")
    return sets[0], sets[1]


def _plain_set(cursor: Cursor) -> SequenceSet:
    """Neither "*" nor "$" is allowed (RFC 7162 §7)."""
    numbers = cursor.sequence_set()
    if numbers.saved or numbers.ranges[-1][1] == STAR:
        raise Malformed("Plain numbers are expected")
    return numbers


def _uses(cursor: Cursor) -> list[str]:
    if cursor.word() != "USE":
        raise Malformed("Unknown parameter")
    cursor.expect_space()
    return cursor.parenthesized(_use, may_be_empty=True)


def _use(cursor: Cursor) -> str:
    found = cursor.match(_USE)
    if found is None:
        raise Malformed("A special use is expected")
    return found[0].decode("ascii")


def _resource(cursor: Cursor) -> tuple[str, int]:
    name = cursor.word()
    cursor.expect_space()
    return name, cursor.number64()
