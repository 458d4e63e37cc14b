"""SMTP listeners of both roles over an in-memory backend. Beside `MemoryBackend`, a transcript may have:

person: bob@example.net [key=…] [quota=octets] [alias=…] …    a user with more attributes than `user:` has
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from relate_accounts.directory import CachedDirectory
from relate_accounts.types import Scope
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId
from relate_smtp.context import Context, Role
from relate_smtp.session import SmtpEngine
from relate_submission.config import SmtpSettings
from relate_submission.routing import LocalOnly
from relate_wire.ports import Peer
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import SECURE, Connection
from tests.support.transcript import Given

NOON_SECONDS = 1_784_030_400.0  # Tue, 14 Jul 2026 12:00:00 +0000

_TRACE_FIELDS = re.compile(rb"Return-Path: <.*>\r\nReceived: .*\r\n(?:\t.*\r\n)+")

SmtpConnection = Connection[Any, Any]
Connect = Callable[[], SmtpConnection]


class SmtpBackend(MemoryBackend):
    """A `MemoryBackend` with a directory, users with quotas and aliases, and access to the delivered messages."""

    def __init__(self, store: MemoryMailStore | None = None) -> None:
        super().__init__(store)
        self.directory = CachedDirectory(self.accounts)

    async def add_person(
        self, address: str, key: str = "", quota: int | None = None, aliases: tuple[str, ...] = ()
    ) -> None:
        """Add a user, who cannot log in without a key."""
        user = await self.accounts.add_user(address, aliases=aliases, quota=quota)
        if key:
            await self.accounts.create_key(user.id, "laptop", [Scope.SMTP], secret=key)

    async def give(self, given: Given) -> bool:
        """Apply a precondition of a transcript; False if its name is unknown."""
        if given.name != "person":
            return await super().give(given)
        address, *rest = given.value.split()
        pairs = [item.partition("=")[::2] for item in rest]
        attributes = dict(pairs)
        aliases = tuple(value for name, value in pairs if name == "alias")
        quota = int(attributes["quota"]) if "quota" in attributes else None
        await self.add_person(address, attributes.get("key", ""), quota, aliases)
        return True

    async def received(self, address: str) -> list[bytes]:
        """The messages in a user's INBOX as they are stored, oldest first."""
        user = await self.accounts.user_by_address(address)
        account = AccountId(user.id)
        entries = (await self.store.snapshot(account)).entries if await self.store.mailboxes(account) else ()
        return [await (await self.store.open(account, entry.message_id)).read() for entry in entries]

    def context(self, role: Role, **overrides: object) -> Context:
        """The context of a listener. `overrides` are settings by field name."""
        settings = SmtpSettings.model_validate({"server_name": "mail.example.net", **overrides})
        return Context(
            role=role,
            store=self.store,
            events=self.store.events,
            authenticator=self.authenticator,
            directory=self.directory,
            routing=LocalOnly(self.directory),
            server_name=settings.server_name,
            max_content=settings.max_message_size_bytes,
            max_recipients=settings.max_recipients,
            require_authentication=settings.require_authentication,
            allows_plaintext=settings.allows_plaintext,
            starttls_available=True,
            now=lambda: NOON_SECONDS,
        )


def connect(context: Context, peer: Peer = SECURE) -> SmtpConnection:
    """Connect a client to a listener."""
    return Connection(partial(SmtpEngine, context=context), peer)


def without_trace_fields(raw: bytes) -> bytes:
    """A stored message without its prepended trace fields."""
    trace_fields = _TRACE_FIELDS.match(raw)
    assert trace_fields is not None, raw[:200]
    return raw[trace_fields.end() :]
