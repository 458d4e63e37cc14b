"""What a process prints, read in the background and to be waited for. Times are in seconds."""

import threading
from typing import IO

TIMEOUT_SECONDS = 60.0  # for anything that should happen at once; a loaded machine needs more than an idle one


class Output:
    """What a process prints to one stream, read as it comes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        """All of it so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, words: str, timeout: float = TIMEOUT_SECONDS) -> bool:
        """Wait until these words were printed; False when the stream ended or `timeout` seconds passed before."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or words in "".join(self._lines), timeout)
            return words in "".join(self._lines)

    def follow(self, stream: IO[str] | None) -> None:
        """Read a stream to its end, in the background."""
        assert stream is not None
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Wait until all is read that is left of a process that has ended."""
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
