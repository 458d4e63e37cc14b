"""Exceptions of accounts. `temporary` is True if a retry may succeed."""


class AccountError(Exception):
    """Base of all exceptions of this package; messages contain no secrets."""

    temporary = False


class AccountsUnavailable(AccountError):
    """The database is not available."""

    temporary = True


class UserNotFound(AccountError):
    """No user has that address."""


class UserExists(AccountError):
    """The address belongs to a user already."""


class AddressBlocked(UserExists):
    """The address belonged to a user who was removed less than `removal.BLOCK_PERIOD` ago."""

    def __init__(self) -> None:
        super().__init__(
            "the address belonged to a user who was removed less than 30 days ago;"
            " to allow another user to have it now: relate user remove ADDRESS --free"
        )


class AddressNotFound(AccountError):
    """The user does not have that address, or it is the primary one, which cannot be removed."""

    def __init__(self) -> None:
        super().__init__("no such further address of this user")


class TooManyClaims(AccountError):
    """The user has claimed `claims.MAX_CLAIMS` addresses already."""


class TooManyCodes(AccountError):
    """The user was sent `claims.CODES_PER_PERIOD` codes within `claims.CODES_PERIOD`."""


class WrongCode(AccountError):
    """The code is not that of the claim, or it has expired, or was tried too often."""


class KeyNotFound(AccountError):
    """The user has no such key."""


class SelectorExists(AccountError):
    """The domain has DKIM keys with that selector already."""

    def __init__(self) -> None:
        super().__init__("the domain has keys with that selector already; choose another one")


class InvalidAddress(AccountError):
    """The text is not a deliverable address."""


class TooManyKeys(AccountError):
    """The user has MAX_KEYS_PER_USER usable keys already."""


class InvalidKeyName(AccountError):
    """The name is empty, too long, or contains a control character."""
