"""A mail store, accounts and an authenticator in memory, filled by the preconditions of transcripts:

user: mrose@example.org tanstaaf [scope …]    a user with a key, by default with all scopes
message: [mailbox [\\Flag …]]                  a message for that user with the text of the block, by default in INBOX
octets: 120 200                               messages of these sizes
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
    """A store, accounts and an authenticator. Tests of failures pass their own store."""

    def __init__(self, store: MemoryMailStore | None = None) -> None:
        self.store = store or MemoryMailStore()
        self.accounts = MemoryAccountStore()
        self.authenticator = KeyAuthenticator(self.accounts, LastUsedWriter(self.accounts))
        self.account = AccountId(0)
        """The user added last."""

    async def add_user(self, address: str, key: str, scopes: Collection[Scope] = tuple(Scope)) -> User:
        """Add a user with one key and no mail."""
        user = await self.accounts.add_user(address)
        await self.accounts.create_key(user.id, "laptop", scopes, secret=key)
        self.account = AccountId(user.id)
        return user

    async def add_message(self, raw: bytes, mailbox: str = INBOX, flags: int = 0) -> None:
        """Deliver a message to the user added last."""
        await self.store.deliver(Delivery(raw, (Destination(self.account, mailbox, flags),)))

    async def give(self, given: Given) -> bool:
        """Apply one precondition; returns False if its name is unknown."""
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
    """Create a message of `octets` octets, at least 20, in lines of at most 72."""
    header = b"Subject: big\r\n\r\n"
    lines, rest = divmod(octets - len(header), 72)
    return header + (b"x" * 70 + b"\r\n") * lines + (b"x" * (rest - 2) + b"\r\n" if rest > 1 else b"x" * rest)
