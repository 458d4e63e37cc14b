"""The error of a failed transfer."""

from relate.errors import CommandError


class TransferError(CommandError):
    """The source or the target cannot be used; the message contains no password."""
