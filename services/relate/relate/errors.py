"""The base of the errors that the `relate` command prints as one line on standard error."""


class CommandError(Exception):
    """A command failed; the message names the remedy and contains no secret."""
