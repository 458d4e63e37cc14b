"""A post office in memory: users, a directory, and listeners of both roles, for tests. Beside `MemoryBackend`:

person: bob@example.net [key=…] [quota=octets] [alias=…] …    a user with more to say about than `user:` has
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from relate_accounts.directory import CachedDirectory
from relate_accounts.types import Scope
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId
from relate_smtp.config import SmtpSettings
from relate_smtp.context import Context, Role
from relate_smtp.routing import LocalOnly
from relate_smtp.session import SmtpEngine
from relate_wire.ports import Peer
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import SECURE, Connection
from tests.support.transcript import Given

NOON = 1_784_030_400.0  # Tue, 14 Jul 2026 12:00:00 +0000

_TRACE = re.compile(rb"Return-Path: <.*>\r\nReceived: .*\r\n(?:\t.*\r\n)+")

SmtpConnection = Connection[Any, Any]
Connect = Callable[[], SmtpConnection]


class PostOffice(MemoryBackend):
    """`MemoryBackend` with a directory, users with quotas and aliases, and access to what was delivered."""

    def __init__(self, store: MemoryMailStore | None = None) -> None:
        super().__init__(store)
        self.directory = CachedDirectory(self.accounts)

    async def add_person(
        self, address: str, key: str = "", quota: int | None = None, aliases: tuple[str, ...] = ()
    ) -> None:
        """A user; one without a key never logs in."""
        user = await self.accounts.add_user(address, aliases=aliases, quota=quota)
        if key:
            await self.accounts.create_key(user.id, "laptop", [Scope.SMTP], secret=key)

    async def give(self, given: Given) -> bool:
        """Make one thing so, if it is one of the above."""
        if given.name != "person":
            return await super().give(given)
        address, *rest = given.value.split()
        said = [item.partition("=")[::2] for item in rest]
        facts = dict(said)
        aliases = tuple(value for name, value in said if name == "alias")
        quota = int(facts["quota"]) if "quota" in facts else None
        await self.add_person(address, facts.get("key", ""), quota, aliases)
        return True

    async def received(self, address: str) -> list[bytes]:
        """The messages in somebody's INBOX, oldest first, as they are stored."""
        user = await self.accounts.user_by_address(address)
        account = AccountId(user.id)
        entries = (await self.store.snapshot(account)).entries if await self.store.mailboxes(account) else ()
        return [await (await self.store.open(account, entry.message_id)).read() for entry in entries]

    def context(self, role: Role, **settings: object) -> Context:
        """A listener's context, with settings by field name."""
        said = SmtpSettings.model_validate({"server_name": "mail.example.net", **settings})
        return Context(
            role=role,
            store=self.store,
            authenticator=self.authenticator,
            directory=self.directory,
            routing=LocalOnly(self.directory),
            server_name=said.server_name,
            max_content=said.max_message_size_bytes,
            max_recipients=said.max_recipients,
            require_authentication=said.require_authentication,
            allows_plaintext=said.allows_plaintext,
            starttls_available=True,
            now=lambda: NOON,
        )


def connect(context: Context, peer: Peer = SECURE) -> SmtpConnection:
    """One client's connection to a listener."""
    return Connection(partial(SmtpEngine, context=context), peer)


def without_trace(raw: bytes) -> bytes:
    """A stored message as the client sent it: without the fields that we put before it."""
    trace = _TRACE.match(raw)
    assert trace is not None, raw[:200]
    return raw[trace.end() :]
