"""The result of one check. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    """It may be intended, or could not be checked."""
    ERROR = "error"
    """Something does not work. The exit status of `relate doctor` is then 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check in one sentence, and what to do, empty if nothing needs to be done.

    `records` are DNS records to publish, as lines of a zone file.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""
    records: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether it is no error."""
        return self.level is not Level.ERROR

    def described(self) -> Mapping[str, object]:
        """The finding for programs."""
        return {
            "healthy": self.healthy,
            "level": self.level.value,
            "subject": self.subject,
            "text": self.text,
            "remedy": self.remedy,
            "records": list(self.records),
        }


def ok(subject: str, text: str, remedy: str = "") -> Finding:
    """Nothing is wrong; `remedy` says what could be better."""
    return Finding(Level.OK, subject, text, remedy)


def warning(subject: str, text: str, remedy: str, *records: str) -> Finding:
    """Something may be wrong."""
    return Finding(Level.WARNING, subject, text, remedy, records)


def error(subject: str, text: str, remedy: str, *records: str) -> Finding:
    """Something does not work."""
    return Finding(Level.ERROR, subject, text, remedy, records)


def listed(values: Iterable[object]) -> str:
    """The values in a sentence."""
    return " and ".join(map(str, values))
