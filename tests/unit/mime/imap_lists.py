"""An independent parser of IMAP's parenthesized lists, and checks of the grammar of ENVELOPE and BODYSTRUCTURE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Item: TypeAlias = "bytes | int | list[Item] | None"


def read_list(octets: bytes) -> list[Item]:
    """Parse exactly one list. Raises ValueError or IndexError."""
    item, position = _read(octets, 0)
    if position != len(octets) or not isinstance(item, list):
        raise ValueError("not one list")
    return item


def _read(octets: bytes, position: int) -> tuple[Item, int]:
    match chr(octets[position]):
        case "(":
            return _read_members(octets, position + 1)
        case '"':
            return _read_quoted(octets, position + 1)
        case "{":
            end = octets.index(b"}\r\n", position)
            start = end + 3
            stop = start + int(octets[position + 1 : end])
            if stop > len(octets) or b"\0" in octets[start:stop]:
                raise ValueError("literal")
            return octets[start:stop], stop
        case "N" if octets.startswith(b"NIL", position):
            return None, position + 3
        case _:
            return _read_number(octets, position)


def _read_members(octets: bytes, position: int) -> tuple[list[Item], int]:
    members: list[Item] = []
    while octets[position] != ord(")"):
        # One space separates members, except adjacent lists: addresses and parts.
        if members and octets[position] == ord(" "):
            position += 1
        elif members and not (isinstance(members[-1], list) and octets[position] == ord("(")):
            raise ValueError("space missing")
        member, position = _read(octets, position)
        members.append(member)
    return members, position + 1


def _read_quoted(octets: bytes, position: int) -> tuple[bytes, int]:
    text = bytearray()
    while octets[position] != ord('"'):
        if octets[position] == ord("\\"):
            position += 1
            if octets[position] not in b'\\"':
                raise ValueError("escape")
        if octets[position] in b"\r\n\0" or octets[position] > 126:
            raise ValueError("not for a quoted string")
        text.append(octets[position])
        position += 1
    return bytes(text), position + 1


def _read_number(octets: bytes, position: int) -> tuple[int, int]:
    end = position
    while octets[end : end + 1].isdigit():
        end += 1
    return int(octets[position:end]), end


def check_envelope(envelope: Item) -> None:
    """Assert that this is an `envelope` (RFC 9051 §9)."""
    members = _list(envelope, 10)
    for text in (members[0], members[1], members[8], members[9]):
        _nstring(text)
    for addresses in members[2:8]:
        if addresses is not None:
            _each(addresses, _check_address)


def check_body(body: Item) -> None:
    """Assert that this is a `body` with all extension data (RFC 9051 §9)."""
    assert isinstance(body, list)
    if isinstance(body[0], list):
        _check_multipart(body)
    else:
        _check_single(body)


def _check_multipart(body: list[Item]) -> None:
    parts = _leading_lists(body)
    for part in body[:parts]:
        check_body(part)
    subtype, parameters, *extension = body[parts:]
    assert isinstance(subtype, bytes)
    _check_parameters(parameters)
    _check_extension(extension)


def _leading_lists(body: list[Item]) -> int:
    return next(index for index, member in enumerate(body) if not isinstance(member, list))


def _check_single(body: list[Item]) -> None:
    main_type, subtype, parameters, part_id, description, encoding, octets, *rest = body
    assert isinstance(main_type, bytes)
    assert isinstance(subtype, bytes)
    _check_parameters(parameters)
    _nstring(part_id)
    _nstring(description)
    assert isinstance(encoding, bytes)
    assert isinstance(octets, int)
    if main_type == b"text":
        assert isinstance(rest.pop(0), int)
    elif main_type == b"message" and subtype in (b"rfc822", b"global"):
        check_envelope(rest.pop(0))
        check_body(rest.pop(0))
        assert isinstance(rest.pop(0), int)
    _nstring(rest.pop(0))
    _check_extension(rest)


def _check_extension(extension: list[Item]) -> None:
    disposition, language, location = extension
    if disposition is not None:
        kind, parameters = _list(disposition, 2)
        assert isinstance(kind, bytes)
        _check_parameters(parameters)
    if language is not None:
        _each(language, _string)
    _nstring(location)


def _check_parameters(parameters: Item) -> None:
    if parameters is not None:
        _each(parameters, _string)
        assert isinstance(parameters, list)
        assert len(parameters) % 2 == 0


def _check_address(address: Item) -> None:
    for member in _list(address, 4):
        _nstring(member)


def _each(items: Item, check: Callable[[Item], None]) -> None:
    assert isinstance(items, list)
    assert items
    for item in items:
        check(item)


def _list(item: Item, length: int) -> list[Item]:
    assert isinstance(item, list)
    assert len(item) == length
    return item


def _string(item: Item) -> None:
    assert isinstance(item, bytes)


def _nstring(item: Item) -> None:
    assert item is None or isinstance(item, bytes)
