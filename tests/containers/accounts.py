"""Creates users of a stack, so that no two tests share one."""

from base64 import b64encode
from itertools import count
from typing import NamedTuple

from tests.containers.project import Project

SENDER = "stranger@example.org"

_numbers = count(1)


class Account(NamedTuple):
    """A user's address and key."""

    address: str
    key: str


def new_account(stack: Project, name: str) -> Account:
    """Create a user of that name, with a key that has all scopes."""
    address = f"{name}.{next(_numbers)}@example.test"
    return Account(address, stack.add_user(address))


def message(subject: str, octets: int = 0) -> bytes:
    """A short message, or one of about this many octets."""
    return f"From: {SENDER}\r\nSubject: {subject}\r\n\r\n".encode() + (b"x" * 70 + b"\r\n") * (octets // 72)


def plain(address: str, key: str) -> str:
    """The response of SASL PLAIN (RFC 4616)."""
    return b64encode(f"\0{address}\0{key}".encode()).decode()
