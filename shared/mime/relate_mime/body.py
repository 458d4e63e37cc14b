"""BODY from a stored BODYSTRUCTURE, by removing the extension data (RFC 9051 §7.5.2).

One regular expression matches a complete part, so that ten thousand parts take some milliseconds.
"""

import re

_LITERAL = re.compile(rb"\{(\d+)\}\r\n")

_STRING = rb'(?:NIL|"(?:[^"\\]++|\\.)*+")'
_STRINGS = rb"(?:NIL|\((?:STRING ?+)*+\))"  # parameters, languages
_EXTENSION = rb" (?:NIL|\(STRING STRINGS\)) STRINGS STRING\)"  # disposition, languages, location
_ADDRESSES = rb'\((?:[^()"]++|STRING)*+\)'
_ENVELOPE = rb'\((?:[^()"]++|STRING|\((?:[^()"]++|STRING|ADDRESSES)*+\))*+\)'


def _compile(form: bytes) -> re.Pattern[bytes]:
    parts = {b"EXTENSION": _EXTENSION, b"ENVELOPE": _ENVELOPE, b"ADDRESSES": _ADDRESSES}
    for name, part in [*parts.items(), (b"STRINGS", _STRINGS), (b"STRING", _STRING)]:
        form = form.replace(name, part)
    return re.compile(form, re.DOTALL)


_MESSAGE = _compile(rb'\("message" "(?:rfc822|global)" STRINGS STRING STRING STRING \d++ ENVELOPE ')
_LEAF = _compile(rb"(\(STRING STRING STRINGS STRING STRING STRING \d++(?: \d++)?+) STRINGEXTENSION")
_MESSAGE_END = _compile(rb"( \d++) STRINGEXTENSION")
_MULTIPART_END = _compile(rb"( STRING) STRINGSEXTENSION")


def without_extensions(bodystructure: bytes) -> bytes:
    """The BODY of a message, from its BODYSTRUCTURE as `index_message` encodes it. Raises ValueError for another."""
    structure = _mask_literals(bodystructure)
    pieces: list[bytes] = []
    ends: list[re.Pattern[bytes]] = []  # of the open multiparts and messages
    position = 0
    while position < len(structure):
        if structure.startswith(b"((", position):
            pieces.append(b"(")
            ends.append(_MULTIPART_END)
            position += 1
        elif message := _MESSAGE.match(structure, position):
            pieces.append(bodystructure[position : message.end()])
            ends.append(_MESSAGE_END)
            position = message.end()
        else:
            form = _LEAF if structure.startswith(b"(", position) else ends.pop()
            match = form.match(structure, position)
            if match is None:
                raise ValueError("not a BODYSTRUCTURE of index_message")
            pieces += bodystructure[position : match.end(1)], b")"
            position = match.end()
    return b"".join(pieces)


def _mask_literals(octets: bytes) -> bytes:
    """Replace each literal by a quoted string of the same length, because those have no line ends."""
    pieces: list[bytes] = []
    position = 0
    while literal := _LITERAL.search(octets, position):
        end = literal.end() + int(literal[1])
        pieces += octets[position : literal.start()], b'"%b"' % (b"-" * (end - literal.start() - 2))
        position = end
    return b"".join([*pieces, octets[position:]]) if pieces else octets
