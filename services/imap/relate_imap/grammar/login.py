"""LOGIN, AUTHENTICATE, ENABLE, ID, COMPRESS, commands without arguments (RFC 9051 §6.1-2, RFC 2971, RFC 4978)."""

import re
import unicodedata
from itertools import zip_longest

from relate_imap.commands import Atoms, Authenticate, Id, Login, NoArguments
from relate_imap.grammar.cursor import Cursor, Malformed, text_of
from relate_wire.secret import Secret

# More than there are extensions.
MAX_ATOMS = 100

# RFC 2971 §3.3 allows 30.
MAX_ID_FIELDS = 100

# Of a login or a password; keys have about 50. Normalisation is quadratic in a run of combining marks.
MAX_CREDENTIAL_OCTETS = 1024

_ID_NOISE = re.compile(rb"[ (),]*+")
_ID_ATOM = re.compile(rb"[!#-'*+\--z|}~\x80-\xff]++")
_INITIAL = re.compile(rb"[A-Za-z0-9+/=]+")


def bare(cursor: Cursor, tag: str, verb: str) -> NoArguments:
    """A command without arguments."""
    cursor.expect_end()
    return NoArguments(tag, verb)


def login(cursor: Cursor, tag: str, _: str) -> Login:
    """LOGIN userid password"""
    cursor.expect_space()
    name = _prepared(cursor.astring())
    cursor.expect_space()
    secret = Secret(_prepared(cursor.astring()))
    cursor.expect_end()
    return Login(tag, name, secret)


def authenticate(cursor: Cursor, tag: str, _: str) -> Authenticate:
    """AUTHENTICATE mechanism [initial-response]"""
    cursor.expect_space()
    mechanism, initial = cursor.word(), None
    if not cursor.at_end:
        cursor.expect_space()
        response = cursor.match(_INITIAL)
        if response is None:
            raise Malformed("An initial response is expected")
        initial = Secret(response[0])
    cursor.expect_end()
    return Authenticate(tag, mechanism, initial)


def enable(cursor: Cursor, tag: str, verb: str) -> Atoms:
    """ENABLE capability …; without any it enables nothing, as in Dovecot."""
    return Atoms(tag, verb, tuple(cursor.remaining(Cursor.word, MAX_ATOMS)))


def compress(cursor: Cursor, tag: str, verb: str) -> Atoms:
    """COMPRESS algorithm (RFC 4978)"""
    cursor.expect_space()
    algorithm = cursor.word()
    cursor.expect_end()
    return Atoms(tag, verb, (algorithm,))


def identify(cursor: Cursor, tag: str, _: str) -> Id:
    """ID (field value …) or ID NIL.

    Clients write it in many ways (`("name", "x")`, `("version" 102.7.1)`, both in Apache James' scripts) and Dovecot
    accepts all of them: atoms, commas, a field without a value, no list at all. Raises Malformed for anything else.
    """
    strings: list[str | None] = []
    cursor.match(_ID_NOISE)
    while not cursor.at_end:
        strings.append(None if cursor.accept(b"NIL") else _id_string(cursor))
        if len(strings) > 2 * MAX_ID_FIELDS:
            raise Malformed("The list is too long")
        cursor.match(_ID_NOISE)
    if strings == [None]:
        return Id(tag, ())
    pairs = zip_longest(strings[::2], strings[1::2])
    return Id(tag, tuple((name or "", value) for name, value in pairs))


def _id_string(cursor: Cursor) -> str:
    atom = cursor.match(_ID_ATOM)
    octets = atom[0] if atom is not None else cursor.string()
    return octets.decode(errors="replace")


def _prepared(octets: bytes) -> str:
    """A name or password in NFKC, as in SASLprep, so that it is independent of the input method (RFC 9755 §5)."""
    if len(octets) > MAX_CREDENTIAL_OCTETS:
        raise Malformed("A name or password is too long")
    text = unicodedata.normalize("NFKC", text_of(octets))
    if not text.isprintable():
        raise Malformed("A character is not allowed")
    return text
