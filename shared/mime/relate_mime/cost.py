"""Whether indexing a message would block the event loop for too long. The cost is in headers, hardly in content."""

SMALL_OCTETS = 8 * 1024
"""A message up to this size takes at most some 10 ms, whatever its content."""

LARGE_OCTETS = 64 * 1024
"""Above this size, finding the references in HTML may take longer."""

HEADER_OCTETS = 8 * 1024
"""Of all headers together: a hostile header costs 1 µs per octet, and usual headers have 2 to 6 KB."""

MAX_DELIMITER_LINES = 32
"""Lines that begin like a delimiter, one of which precedes each part."""


def is_cheap_to_index(raw: bytes) -> bool:
    """Whether `index_message` takes at most some milliseconds. Conservative: False if that is expensive to find out."""
    if len(raw) <= SMALL_OCTETS:
        return True
    if len(raw) > LARGE_OCTETS:
        return False
    room, start = HEADER_OCTETS, 0
    for _ in range(MAX_DELIMITER_LINES):
        end = _header_end(raw, start, start + room)
        if end < 0 or _opens_message(raw[start:end].lower()):
            return False
        room -= end - start
        start = raw.find(b"\n--", end) + 1
        if not start:
            return True
    return False


def _header_end(raw: bytes, start: int, stop: int) -> int:
    """The offset of the first blank line, or of the end of the message; -1 if that is after `stop`."""
    end = raw.find(b"\n\r\n", start, stop)
    if end < 0 and len(raw) <= stop:
        end = len(raw)
    bare = raw.find(b"\n\n", start, stop if end < 0 else end)
    return end if bare < 0 else bare


def _opens_message(header: bytes) -> bool:
    """Whether a part may contain a message, whose header would be missed here."""
    return b"digest" in header or header.count(b"message") > header.count(b"message-id")
