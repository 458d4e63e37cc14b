"""An authenticator that accepts every login."""

from collections.abc import Callable

from relate.dev.faults import note_login
from relate.dev.mailboxes import Mailboxes
from relate_accounts.keys import is_well_formed
from relate_accounts.ports import TokenAcceptor, TokenLogins
from relate_accounts.types import Denied, FailureReason, Granted, Scope, Verdict
from relate_api.developers.namespaces import complete

KEY_NAME = "developers' mode"
SCOPES = frozenset(Scope) - {Scope.ADMIN}


class OpenAuthenticator:
    """A `TokenAcceptor` for which any password is right, and any text in place of a key is a login.

    A login is an address, or its local part in the domain of the server's name. Keys of the store are authenticated as
    ever, because only they may have the scope `admin`.
    """

    def __init__(self, keys: TokenAcceptor, mailboxes: Mailboxes, server_name: str) -> None:
        self._keys = keys
        self._mailboxes = mailboxes
        self._server_name = server_name

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """See `Authenticator`. The mailbox is that of the authorization identity, if there is one."""
        return await self._open(authorize_as or login)

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """See `Authenticator`."""
        if is_well_formed(secret):
            return await self._keys.validate_key(secret, client)
        return await self._open(secret)

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """See `Authenticator`."""
        return self._keys.watch(granted, end)

    def accept_tokens(self, tokens: TokenLogins) -> None:
        """See `TokenAcceptor`."""
        self._keys.accept_tokens(tokens)

    async def _open(self, login: str) -> Verdict:
        note_login(login)
        user = await self._mailboxes.owner(complete(login, self._server_name))
        if user is None or user.disabled is not None:
            return Denied(FailureReason.USER_NOT_FOUND)
        return Granted(user, None, KEY_NAME, SCOPES)
