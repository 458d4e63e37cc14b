"""Output of a process, read in the background, on which tests can wait."""

import threading
from typing import IO

TIMEOUT_SECONDS = 60.0  # generous, because test machines are loaded


class Output:
    """The output of a process on one stream, read in a thread."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        """The output so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, words: str, timeout: float = TIMEOUT_SECONDS) -> bool:
        """Wait until the output contains `words`; False at the end of the stream or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or words in "".join(self._lines), timeout)
            return words in "".join(self._lines)

    def follow(self, stream: IO[str] | None) -> None:
        """Read a stream to its end, in the background."""
        assert stream is not None
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Read the rest of the output of a process that has ended."""
        if self._reader is not None:
            self._reader.join(TIMEOUT_SECONDS)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._add(line)
        self._add("", ended=True)

    def _add(self, line: str, ended: bool = False) -> None:
        with self._changed:
            self._lines.append(line)
            self._ended = ended
            self._changed.notify_all()
