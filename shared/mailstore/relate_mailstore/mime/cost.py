"""Whether a message can be indexed in the event loop, or holds it for too long. Headers cost; content hardly does."""

SMALL_OCTETS = 8 * 1024
"""A message up to this size takes some 10 ms at worst, whatever it holds."""

LARGE_OCTETS = 64 * 1024
"""Beyond this size, what HTML refers to may take longer."""

HEADER_OCTETS = 8 * 1024
"""Of all headers together: a hostile one costs a microsecond an octet, and usual ones have 2 to 6 KB."""

PARTS = 32
"""Lines that begin like a delimiter."""


def is_cheap_to_index(raw: bytes) -> bool:
    """Whether `index_message` takes some milliseconds at most. Conservative: False where it would take time to know."""
    if len(raw) <= SMALL_OCTETS:
        return True
    if len(raw) > LARGE_OCTETS:
        return False
    room, start = HEADER_OCTETS, 0
    for _ in range(PARTS):
        end = _header_end(raw, start, start + room)
        if end < 0 or _opens_message(raw[start:end].lower()):
            return False
        room -= end - start
        start = raw.find(b"\n--", end) + 1
        if not start:
            return True
    return False


def _header_end(raw: bytes, start: int, stop: int) -> int:
    """Where the first blank line is, or the end of the message; -1 where that is behind `stop`."""
    end = raw.find(b"\n\r\n", start, stop)
    if end < 0 and len(raw) <= stop:
        end = len(raw)
    bare = raw.find(b"\n\n", start, stop if end < 0 else end)
    return end if bare < 0 else bare


def _opens_message(header: bytes) -> bool:
    """Whether a part may have a message inside, whose own header is not looked for here."""
    return b"digest" in header or header.count(b"message") > header.count(b"message-id")
