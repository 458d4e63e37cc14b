"""What a deviation is: which difference it is about, in which form, and its reason."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Form = Callable[[Any, Any], bool]


def anyhow(ours: Any, theirs: Any) -> bool:
    """Whatever each of us says."""
    return True


def only_we(ours: Any, theirs: Any) -> bool:
    """We say it, and Dovecot does not."""
    return theirs is None


def only_they(ours: Any, theirs: Any) -> bool:
    """Dovecot says it, and we do not."""
    return ours is None


def refused(ours: Any, theirs: Any) -> bool:
    """We refuse, and so have nothing else to say."""
    return ours in ("BAD", "NO", None, ())


def not_there(ours: Any, theirs: Any) -> bool:
    """NIL is not the empty string."""
    return ours is None


def but_for_the_end(ours: Any, theirs: Any) -> bool:
    """The same text without its last line end; of structures, the texts' places in them."""
    return isinstance(ours, tuple) or theirs == ours + b"\r\n"


def more(ours: Any, theirs: Any) -> bool:
    """All that Dovecot says of a mailbox, and more; that a mailbox is none, or has the name only, apart."""
    return ours is not None and (theirs is None or theirs[0] - {"\\noselect", "\\nonexistent"} <= ours[0])


class Deviation(NamedTuple):
    """`exchange` is sought in the exchange's text, `fact` in the name of what differs: both regular expressions.

    `form` says how the two differ.
    """

    exchange: str
    fact: str
    rfc: str
    why: str
    form: Form = anyhow

    def allows(self, exchange: str, fact: str, ours: Any, theirs: Any) -> bool:
        """Whether it is about this difference."""
        found = re.search(self.exchange, exchange) and re.search(self.fact, fact)
        return bool(found) and self.form(ours, theirs)
