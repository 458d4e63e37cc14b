"""LOGIN, AUTHENTICATE, ENABLE, ID, COMPRESS, and verbs that stand alone (RFC 9051 §6.1, §6.2, RFC 2971, RFC 4978)."""

import re
import unicodedata

from relate_imap.commands import Authenticate, Bare, Id, Login, Words
from relate_imap.grammar.cursor import Cursor, Malformed, text_of
from relate_wire.secret import Secret

# More than there are extensions.
MAX_WORDS = 100

_INITIAL = re.compile(rb"[A-Za-z0-9+/=]+")


def bare(cursor: Cursor, tag: str, verb: str) -> Bare:
    """A verb alone."""
    cursor.end()
    return Bare(tag, verb)


def login(cursor: Cursor, tag: str, _: str) -> Login:
    """LOGIN userid password"""
    cursor.space()
    name = _prepared(cursor.astring())
    cursor.space()
    secret = Secret(_prepared(cursor.astring()))
    cursor.end()
    return Login(tag, name, secret)


def authenticate(cursor: Cursor, tag: str, _: str) -> Authenticate:
    """AUTHENTICATE mechanism [initial-response]"""
    cursor.space()
    mechanism, initial = cursor.word(), None
    if not cursor.at_end:
        cursor.space()
        response = cursor.match(_INITIAL)
        if response is None:
            raise Malformed("An initial response is expected")
        initial = Secret(response[0])
    cursor.end()
    return Authenticate(tag, mechanism, initial)


def words(cursor: Cursor, tag: str, verb: str) -> Words:
    """ENABLE capability …, COMPRESS algorithm"""
    cursor.space()
    return Words(tag, verb, (cursor.word(), *cursor.others(Cursor.word, MAX_WORDS)))


def identify(cursor: Cursor, tag: str, _: str) -> Id:
    """ID (field value …) or ID NIL"""
    cursor.space()
    fields = [] if cursor.accepts(b"NIL") else cursor.parenthesized(_field, may_be_empty=True)
    cursor.end()
    return Id(tag, tuple(fields))


def _field(cursor: Cursor) -> tuple[str, str | None]:
    key = text_of(cursor.string())
    cursor.space()
    value = cursor.nstring()
    return key, None if value is None else text_of(value)


def _prepared(octets: bytes) -> str:
    """A name or password: normalized as by SASLprep, so that it is the same however it was typed (RFC 9755 §5)."""
    text = unicodedata.normalize("NFKC", text_of(octets))
    if not text.isprintable():
        raise Malformed("A character is not allowed")
    return text
