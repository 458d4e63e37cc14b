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


class AddressBlocked(UserExists):
    """The address belonged to a user who was removed less than `removal.BLOCKED` ago."""

    def __init__(self) -> None:
        super().__init__(
            "the address belonged to a user who was removed less than 30 days ago;"
            " to give it to another one now: relate user remove ADDRESS --free"
        )


class AddressNotFound(AccountError):
    """No such address of this user, or its primary one, which stays."""

    def __init__(self) -> None:
        super().__init__("no such further address of this user")


class KeyNotFound(AccountError):
    """No such key of this user."""


class InvalidAddress(AccountError):
    """Not an address that mail could be delivered to."""


class TooManyKeys(AccountError):
    """The user has as many usable keys as a user may have."""


class InvalidKeyName(AccountError):
    """Empty, too long, or with a control character."""
