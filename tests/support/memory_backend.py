"""Users and their mail in memory, as transcripts and tests of sessions begin with.

user: mrose@example.org tanstaaf [scope …]    a user with a key; every scope when none is named
message: [mailbox [\\Flag …]]                  a message for that user, its text in the block below; INBOX
octets: 120 200                               messages of just these sizes
"""

from collections.abc import Collection

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import Scope, User
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import INBOX, AccountId, Delivery, Destination, Flag
from tests.support.transcript import Given


class MemoryBackend:
    """One store, one set of accounts, one authenticator. A test of failures brings a store of its own."""

    def __init__(self, store: MemoryMailStore | None = None) -> None:
        self.store = store or MemoryMailStore()
        self.accounts = MemoryAccountStore()
        self.authenticator = KeyAuthenticator(self.accounts, LastUsedWriter(self.accounts))
        self.account = AccountId(0)
        """The user named last."""

    async def add_user(self, address: str, key: str, scopes: Collection[Scope] = tuple(Scope)) -> User:
        """A user with one key, without any mail."""
        user = await self.accounts.add_user(address)
        await self.accounts.create_key(user.id, "laptop", scopes, secret=key)
        self.account = AccountId(user.id)
        return user

    async def add_message(self, raw: bytes, mailbox: str = INBOX, flags: int = 0) -> None:
        """A message for the user named last."""
        await self.store.deliver(Delivery(raw, (Destination(self.account, mailbox, flags),)))

    async def give(self, given: Given) -> bool:
        """Make one thing so, if it is one of the above."""
        match given.name:
            case "user":
                address, key, *scopes = given.value.split()
                await self.add_user(address, key, [Scope(scope) for scope in scopes] or tuple(Scope))
            case "message":
                mailbox, *flags = given.value.split() or [INBOX]
                await self.add_message(given.block, mailbox, sum(Flag[flag[1:].upper()] for flag in flags))
            case "octets":
                for size in given.value.split():
                    await self.add_message(message_of(int(size)))
            case _:
                return False
        return True


def message_of(octets: int) -> bytes:
    """A message of just so many octets, at least 20, in lines of at most 72."""
    header = b"Subject: big\r\n\r\n"
    lines, rest = divmod(octets - len(header), 72)
    return header + (b"x" * 70 + b"\r\n") * lines + (b"x" * (rest - 2) + b"\r\n" if rest > 1 else b"x" * rest)
