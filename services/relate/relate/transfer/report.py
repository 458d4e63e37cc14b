"""Counts of an import or export while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class TransferReport:
    """What was transferred, found in the target, skipped and ignored; each change calls `on_change`."""

    on_change: Callable[["TransferReport"], None] = lambda _: None
    mailbox: str = ""  # the current one
    mailboxes: int = 0
    expected: int = 0  # messages in the mailboxes started so far
    transferred: int = 0
    octets: int = 0  # of the transferred messages
    present: int = 0  # messages that the target already stored
    keywords_dropped: int = 0
    ignored_files: list[str] = field(default_factory=list)  # paths of files that contain no mail
    skipped: list[str] = field(default_factory=list)  # items that could not be transferred, with the reason

    def start_mailbox(self, mailbox: str, messages: int) -> None:
        """Start a mailbox with this number of messages."""
        self.mailbox = mailbox
        self.mailboxes += 1
        self.expected += messages
        self.on_change(self)

    def add_transferred(self, messages: int, octets: int) -> None:
        """Count messages that were stored or written."""
        self.transferred += messages
        self.octets += octets
        self.on_change(self)

    def add_present(self, messages: int) -> None:
        """Count messages that the target already stores."""
        self.present += messages
        self.on_change(self)

    def add_skipped(self, what: str, reason: str) -> None:
        """Record a message or mailbox that could not be transferred."""
        self.skipped.append(f"{what}: {reason}")
        self.on_change(self)

    def add_ignored_file(self, file: str) -> None:
        """Record a file that contains no mail."""
        self.ignored_files.append(file)

    @property
    def processed(self) -> int:
        """The number of messages that need no further work."""
        return self.transferred + self.present + len(self.skipped)
