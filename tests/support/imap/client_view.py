"""A client's model of its mailbox, updated from responses alone (RFC 9051 §7).

It asserts what a real client relies on: numbers refer to messages, UIDs ascend, no EXPUNGE while numbers are in use.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.imap.responses import Response, Value, as_list, as_number, as_numbers, as_pairs, as_text

_NUMBERS_IN_USE = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")


@dataclass
class Message:
    """One message; None is unknown."""

    uid: int | None = None
    flags: frozenset[str] | None = None


class ClientView:
    """The selected mailbox. Keywords in lower case, without \\Recent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __len__(self) -> int:
        return len(self.messages)

    @property
    def uids(self) -> list[int]:
        """The known UIDs."""
        return [message.uid for message in self.messages if message.uid is not None]

    @property
    def unknown(self) -> list[int]:
        """The numbers of messages whose UID or flags are unknown."""
        return [n for n, message in enumerate(self.messages, 1) if message.uid is None or message.flags is None]

    def apply(self, responses: Iterable[Response], verb: str = "") -> None:
        """Apply the responses to a command with this verb ("UID FETCH"). Raises AssertionError."""
        for response in responses:
            match response.kind:
                case "EXISTS":
                    self._exists(response.number or 0)
                case "EXPUNGE" | "VANISHED" if "EARLIER" in _words(response.values):
                    pass  # messages that this client did not number any more
                case "EXPUNGE":
                    assert verb not in _NUMBERS_IN_USE, f"EXPUNGE while {verb} uses numbers"
                    self._expunge(response.number or 0)
                case "VANISHED":
                    assert verb not in _NUMBERS_IN_USE, f"VANISHED while {verb} uses numbers"
                    self._vanish(as_numbers(response.values[-1]))
                case "FETCH":
                    self._fetch(response)
        uids = self.uids
        assert uids == sorted(set(uids)), f"UIDs do not ascend: {uids}"

    def predict_store(self, numbers: Iterable[int], mode: str, flags: frozenset[str]) -> None:
        """Predict flags after a STORE with .SILENT that was answered OK."""
        for number in numbers:
            message = self.messages[number - 1]
            if message.flags is not None:
                predictions = {"+": message.flags | flags, "-": message.flags - flags}
                message.flags = predictions.get(mode, flags)
            elif not mode:
                message.flags = flags

    def numbers_of(self, uids: Iterable[int]) -> list[int]:
        """The numbers of messages with these UIDs."""
        requested = set(uids)
        return [number for number, message in enumerate(self.messages, 1) if message.uid in requested]

    def _exists(self, count: int) -> None:
        assert count >= len(self.messages), f"EXISTS {count} after {len(self.messages)}"
        self.messages.extend(Message() for _ in range(count - len(self.messages)))

    def _expunge(self, number: int) -> None:
        assert 1 <= number <= len(self.messages), f"EXPUNGE {number} of {len(self.messages)}"
        del self.messages[number - 1]

    def _vanish(self, uids: Iterable[int]) -> None:
        for uid in uids:
            known = self.numbers_of([uid])
            number = known[0] if known else self._unknown_at(uid)
            assert number, f"VANISHED {uid}, which never was there"
            del self.messages[number - 1]

    def _unknown_at(self, uid: int) -> int:
        """The first message that may have this unknown UID: after all with lower ones; 0 if there is none."""
        lower = max((n for n, message in enumerate(self.messages, 1) if message.uid and message.uid < uid), default=0)
        behind = enumerate(self.messages[lower:], lower + 1)
        return next((number for number, message in behind if message.uid is None), 0)

    def _fetch(self, response: Response) -> None:
        number = response.number or 0
        assert 1 <= number <= len(self.messages), f"FETCH {number} of {len(self.messages)}"
        message, items = self.messages[number - 1], as_pairs(as_list(response.values[0]))
        if "UID" in items:
            uid = as_number(items["UID"])
            assert message.uid in (None, uid), f"number {number} was UID {message.uid} and is {uid}"
            message.uid = uid
        if "FLAGS" in items:
            message.flags = flags_of(items["FLAGS"])


def flags_of(value: Value) -> frozenset[str]:
    """A flag list in the form of `Message.flags`."""
    return frozenset(as_text(flag).lower() for flag in as_list(value)) - {"\\recent"}


def _words(values: tuple[Value, ...]) -> tuple[str, ...]:
    return tuple(as_text(word).upper() for value in values if isinstance(value, tuple) for word in value)
