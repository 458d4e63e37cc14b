"""What ends a transfer."""

from relate.errors import CommandError


class TransferError(CommandError):
    """The source or the target cannot be used; the message never holds a password."""
