"""What ends a command of the `relate` command line with one line on standard error."""


class CommandError(Exception):
    """A command cannot do what it was asked; the message says what to do, and holds no secret."""
