"""What can go wrong with accounts. `temporary` says whether the same request may succeed later."""


class AccountError(Exception):
    """Base of all errors of this package; messages hold no secrets."""

    temporary = False


class AccountsUnavailable(AccountError):
    """The database did not answer."""

    temporary = True


class UserNotFound(AccountError):
    """No user has that address."""


class UserExists(AccountError):
    """The address belongs to somebody already."""


class KeyNotFound(AccountError):
    """No such key of this user."""


class InvalidAddress(AccountError):
    """Not an address that mail could be delivered to."""


class TooManyKeys(AccountError):
    """The user has as many usable keys as a user may have."""


class InvalidKeyName(AccountError):
    """Empty, too long, or with a control character."""
