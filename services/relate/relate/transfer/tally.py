"""The running counts of an import or an export."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """`changed` is called after each change, for a progress bar."""

    changed: Callable[["Tally"], None] = lambda _: None
    mailbox: str = ""  # the mailbox at work
    mailboxes: int = 0
    expected: int = 0  # messages of the mailboxes so far; a source that cannot know counts them as they come
    transferred: int = 0
    octets: int = 0  # of these
    present: int = 0  # messages that the target had already
    keywords_dropped: int = 0
    left_out: list[str] = field(default_factory=list)  # files that are no mail
    skipped: list[str] = field(default_factory=list)  # what could not be transferred, each with its reason

    def begin(self, mailbox: str, messages: int) -> None:
        """A mailbox begins that has this many messages."""
        self.mailbox = mailbox
        self.mailboxes += 1
        self.expected += messages
        self.changed(self)

    def transfer(self, messages: int, octets: int) -> None:
        """Messages are stored, or written."""
        self.transferred += messages
        self.octets += octets
        self.changed(self)

    def find(self, messages: int) -> None:
        """Messages are in the target already."""
        self.present += messages
        self.changed(self)

    def skip(self, what: str, reason: str) -> None:
        """A message or a mailbox is left out."""
        self.skipped.append(f"{what}: {reason}")
        self.changed(self)

    def leave_out(self, file: str) -> None:
        """A file is no mail."""
        self.left_out.append(file)

    @property
    def done(self) -> int:
        """Messages that were looked at."""
        return self.transferred + self.present + len(self.skipped)
