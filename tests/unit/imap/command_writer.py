"""Encodes commands in any form that the grammar allows: atoms, quoted strings, literals, any case."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import TypeVar

from relate_imap.commands import FlagList, Section, SectionText
from relate_imap.grammar.mailbox_names import encode_utf7
from relate_imap.search import keys
from relate_imap.selected.sequence_set import STAR, SequenceSet
from relate_mailstore.types import Flag

_ASTRING = re.compile(rb"[!#$&'+-\[\]^-z|}~]+")
_UNQUOTABLE = re.compile(rb"[\r\n\0]")
_PREFIXES = {keys.DateOf.INTERNAL: "", keys.DateOf.SENT: "SENT", keys.DateOf.SAVED: "SAVED"}

T = TypeVar("T")


class Writer:
    """Chooses among equivalent forms at random."""

    def __init__(self, random: Random, *, utf8: bool) -> None:
        self.random = random
        self.utf8 = utf8

    def word(self, word: str) -> bytes:
        """A keyword of the grammar, in any case."""
        return "".join(self.random.choice((letter.lower(), letter.upper())) for letter in word).encode()

    def literal(self, octets: bytes, tilde: str = "") -> bytes:
        """A synchronizing or non-synchronizing literal."""
        return b"%b{%d%b}\r\n%b" % (tilde.encode(), len(octets), self.random.choice((b"", b"+")), octets)

    def string(self, octets: bytes) -> bytes:
        """A string in one of its forms."""
        if _UNQUOTABLE.search(octets) or self.random.random() < 0.4:
            return self.literal(octets)
        return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')

    def astring(self, octets: bytes) -> bytes:
        """An astring in one of its forms."""
        if _ASTRING.fullmatch(octets) and self.random.random() < 0.5:
            return octets
        return self.string(octets)

    def text(self, text: str) -> bytes:
        """Text as an astring."""
        return self.astring(text.encode())

    def mailbox(self, name: str) -> bytes:
        """A mailbox name in UTF-8 or modified UTF-7."""
        return self.text(name if self.utf8 else encode_utf7(name))

    def listed(self, write: Callable[[T], bytes], things: Iterable[T]) -> bytes:
        """A parenthesized list."""
        return b"(%b)" % b" ".join(map(write, things))

    def numbers(self, numbers: SequenceSet) -> bytes:
        """A sequence set, in any order and with either end first."""
        if numbers.saved:
            return b"$"
        elements = [self._range(*pair) for pair in numbers.ranges]
        self.random.shuffle(elements)
        return ",".join(elements).encode()

    def _range(self, first: int, last: int) -> str:
        ends = ["*" if number == STAR else str(number) for number in (first, last)]
        if first == last and self.random.random() < 0.7:
            return ends[0]
        self.random.shuffle(ends)
        return ":".join(ends)

    def flags(self, flags: FlagList) -> bytes:
        """A flag list."""
        system = [self.word(f"\\{flag.name}") for flag in Flag if flags.flags & flag]
        return self.listed(bytes, [*system, *(keyword.encode() for keyword in flags.keywords)])

    def date_time(self, seconds: int) -> bytes:
        """A date-time in any zone."""
        zone = timezone(timedelta(minutes=self.random.randint(-23 * 60, 23 * 60)))
        moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        day = moment.strftime("%d") if self.random.random() < 0.5 else f"{moment.day:2d}"
        return f'"{day}{moment.strftime("-%b-%Y %H:%M:%S %z")}"'.encode()

    def day(self, days: int) -> bytes:
        """A date of a search."""
        moment = date(1970, 1, 1) + timedelta(days)
        quote = self.random.choice(("", '"'))
        return f"{quote}{moment.day}{moment.strftime('-%b-%Y')}{quote}".encode()

    def section(self, section: Section, fields: Iterable[str]) -> bytes:
        """A section in brackets."""
        text = [self.word(section.text.value)] if section.text else []
        inner = b".".join([*([section.part.encode()] if section.part else []), *text])
        if section.text in (SectionText.FIELDS, SectionText.FIELDS_NOT):
            inner += b" " + self.listed(self.text, fields)
        return b"[%b]" % inner

    def key(self, key: keys.SearchKey) -> bytes:
        """One search key."""
        match key:
            case keys.And(search_keys):
                return self.listed(self.key, search_keys)
            case keys.Or(one, other):
                return b"%b %b %b" % (self.word("OR"), self.key(one), self.key(other))
            case keys.Not(keys.HasFlag(flag)) if self.random.random() < 0.5:
                return self.word(f"UN{Flag(flag).name}")
            case keys.Not(keys.HasKeyword(keyword)) if self.random.random() < 0.5:
                return self.word("UNKEYWORD") + b" " + keyword.encode()
            case keys.Not(inner):
                return self.word("NOT") + b" " + self.key(inner)
            case _:
                return self._simple(key)

    def _simple(self, key: keys.SearchKey) -> bytes:
        match key:
            case keys.All() | keys.Recent() | keys.SaveDateSupported():
                return self.word(type(key).__name__)
            case keys.HasFlag(flag):
                return self.word(str(Flag(flag).name))
            case keys.InSequenceSet(numbers, uid):
                return (self.word("UID") + b" " if uid else b"") + self.numbers(numbers)
            case keys.Dated(of, first, end):
                verb = "BEFORE" if first is None else "SINCE" if end is None else "ON"
                days = end if first is None else first
                assert days is not None
                return self.word(_PREFIXES[of] + verb) + b" " + self.day(days)
            case keys.Within(seconds, older):
                return self.word("OLDER" if older else "YOUNGER") + b" %d" % seconds
            case keys.Larger(number) | keys.Smaller(number):
                return self.word(type(key).__name__) + b" %d" % number
            case keys.ModifiedSince(number):
                entry = b' "/flags/x" ' + self.word(self.random.choice(("priv", "shared", "all")))
                return self.word("MODSEQ") + self.random.choice((b"", entry)) + b" %d" % number
            case _:
                return self._texts(key)

    def _texts(self, key: keys.SearchKey) -> bytes:
        match key:
            case keys.HasAddress(field, text):
                return self.word(field.value) + b" " + self.text(text)
            case keys.HasSubject(text):
                return self.word("SUBJECT") + b" " + self.text(text)
            case keys.HasHeader(name, text):
                return b"%b %b %b" % (self.word("HEADER"), self.text(name), self.text(text))
            case keys.HasText(text, body_only):
                return self.word("BODY" if body_only else "TEXT") + b" " + self.text(text)
            case keys.HasKeyword(keyword):
                return self.word("KEYWORD") + b" " + keyword.encode()
            case keys.HasEmailId(identity):
                return self.word("EMAILID") + b" " + identity.encode()
            case keys.HasThreadId(identity):
                return self.word("THREADID") + b" " + identity.encode()
            case _:
                raise AssertionError(key)
