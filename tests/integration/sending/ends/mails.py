"""Random mail: its way, its recipient, what becomes of it, and what its client was told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

ACCEPTING, REFUSING, LATER, NEVER = "accepting.test", "refusing.test", "later.test", "never.test"
OURS = "example.test"


class Way(Enum):
    """How mail comes in."""

    MX = auto()
    SUBMISSION = auto()
    API = auto()
    API_WITH_KEY = auto()  # Idempotency-Key
    APPEND = auto()


class To(Enum):
    """Who its recipient is; the value is its domain, or the name of its account."""

    BOB = "bob"
    FILTERED = "fay"
    FULL = "fred"  # over quota
    NOBODY = OURS
    FOREIGN = "foreign.test"  # not relayed for strangers
    ACCEPTING = ACCEPTING
    REFUSING = REFUSING
    LATER = LATER  # after a first 450
    NEVER = NEVER  # always 450


class Action(Enum):
    """What its recipient does with it."""

    LEAVE = auto()
    READ = auto()
    MOVE = auto()
    DELETE = auto()


_FROM_STRANGERS = (To.BOB, To.BOB, To.FILTERED, To.FILTERED, To.FULL, To.NOBODY, To.FOREIGN)
_FROM_USERS = (To.BOB, To.FILTERED, To.NOBODY, To.ACCEPTING, To.ACCEPTING, To.REFUSING, To.LATER, To.NEVER)
_WAYS = (Way.MX, Way.MX, Way.MX, Way.SUBMISSION, Way.SUBMISSION, Way.API, Way.API_WITH_KEY, Way.APPEND)
SUBJECTS = ("plain", "mark as read", "move away", "put a label", "throw away")
"""What the filters of FILTERED act on; of the first none does."""


@dataclass(slots=True, eq=False)
class Mail:
    """One mail, and what its client was told; times are by the monotonic clock.

    `lost` counts the replies to its content that never came: it may have been accepted so many times more. `failures`
    counts all commands without a reply. `acted` is None until the action was confirmed.
    """

    number: int
    way: Way
    to: To
    action: Action
    subject: str
    is_allowed: bool = True
    accepted: list[str] = field(default_factory=list)
    appended: bool = False
    refused: list[float] = field(default_factory=list)
    lost: int = 0
    failures: int = 0
    acted: float | None = None

    @property
    def message_id(self) -> str:
        """Its Message-ID, without angle brackets."""
        return f"{self.number}.mail@client.test"

    @property
    def stranger(self) -> str:
        """Its sender, if that is no user."""
        return f"stranger{self.number}@outside.test"

    @property
    def address(self) -> str:
        """The address of a recipient that is no account, which no other mail has."""
        return f"user{self.number}@{self.to.value}"

    @property
    def is_refusable(self) -> bool:
        """Whether it must be refused."""
        return not self.is_allowed or self.to in {To.FULL, To.NOBODY, To.FOREIGN}


def random_mails(random: Random, count: int) -> Iterator[Mail]:
    """So many mails, each of a random kind."""
    for number in range(count):
        way = random.choice(_WAYS)
        to = random.choice(_FROM_STRANGERS if way is Way.MX else _FROM_USERS)
        is_allowed = way is not Way.API or random.random() > 0.1
        if way is Way.APPEND:
            to = To.BOB
        action = random.choice([*Action]) if to is To.BOB and way is not Way.APPEND and is_allowed else Action.LEAVE
        yield Mail(number, way, to, action, random.choice(SUBJECTS), is_allowed)
