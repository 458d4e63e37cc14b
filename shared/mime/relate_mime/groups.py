"""The addresses of a message together with group names (RFC 5322 §3.4), which only its ENVELOPE has.

A group name appears where the group begins, as the mailbox of an address without a host, so that SEARCH and SORT see
it (RFC 5256 §3: the addr-mailbox of the first address).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from relate_mime.types import Address, MessageIndex
from relate_mime.words import decode_words

_GROUP_END = b"(NIL NIL NIL NIL)"
_FROM, _TO, _CC, _BCC = 2, 5, 6, 7  # indexes in an ENVELOPE (RFC 9051 §7.5.2)
_TOKEN = re.compile(rb'[()]|"((?:[^"\\]++|\\.)*+)"|\{(\d+)\}\r\n|NIL', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

People = Sequence[Address]


def people_with_groups(index: MessageIndex) -> tuple[People, People, People, People]:
    """The addresses of From (or else Sender), To, Cc and Bcc."""
    fields = (index.senders or (index.sender,), index.to, index.cc, index.bcc)
    if _GROUP_END not in index.envelope:
        return fields
    members = _parse(index.envelope)
    from_, to, cc, bcc = (
        tuple(_merge(members[position] or [], people))
        for position, people in zip((_FROM, _TO, _CC, _BCC), fields, strict=True)
    )
    return from_, to, cc, bcc


def _merge(structures: Sequence[Any], people: People) -> Iterator[Address]:
    remaining = iter(people)
    for _, _, mailbox, host in structures:
        if host is not None:
            yield from islice(remaining, 1)
        elif mailbox is not None:
            yield Address("", decode_words(mailbox))
    yield from remaining


def _parse(envelope: bytes) -> list[Any]:
    """The members of an ENVELOPE as `index_message` encodes it: lists, octets, None for NIL."""
    stack: list[list[Any]] = [[]]
    position = 0
    while token := _TOKEN.search(envelope, position):
        position = token.end()
        if token[0] == b"(":
            stack.append([])
        elif token[0] == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif token[2]:
            stack[-1].append(envelope[position : position + int(token[2])])
            position += int(token[2])
        else:
            stack[-1].append(None if token[1] is None else _QUOTED_PAIR.sub(rb"\1", token[1]))
    members: list[Any] = stack[0][0]
    return members
