"""What ends a transfer. It may be run again: it goes on where it stopped."""


class TransferError(Exception):
    """The source or the target cannot be used; the message says what to do, and never holds a password."""
