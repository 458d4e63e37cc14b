"""What a client gets that did not ask for UTF8, where a header holds UTF-8 (RFC 6856 §2.1, RFC 6855 §7).

Such octets must not be sent as they are. To refuse the message would stop most clients for good, so each phrase with
such characters becomes encoded-words (RFC 2047): nothing is lost, and every client of the last decades shows them.
The body is left alone. A header in some other charset makes no UTF-8 message but a broken one: it is left alone too.
"""

import re
from base64 import b64encode

# An encoded-word has 75 characters (RFC 2047 §2): 60 of base64, 45 octets, 11 characters of up to four octets.
CHARACTERS_IN_WORD = 11

# Words and the spaces between them, up to what structured fields use as punctuation.
_PHRASE = re.compile(r'[^ \t\r\n<>@,;:"()\[\]\\]+(?: +[^ \t\r\n<>@,;:"()\[\]\\]+)*')


def encode_header(header: bytes) -> bytes:
    """A header in ASCII, unless it is no UTF-8."""
    if header.isascii():
        return header
    try:
        text = header.decode()
    except UnicodeDecodeError:
        return header
    return _PHRASE.sub(lambda phrase: encode_phrase(phrase[0]), text).encode()


def encode_phrase(phrase: str) -> str:
    """Some words, as encoded-words where ASCII does not do."""
    if phrase.isascii():
        return phrase
    pieces = (phrase[at : at + CHARACTERS_IN_WORD] for at in range(0, len(phrase), CHARACTERS_IN_WORD))
    return "\r\n ".join(f"=?UTF-8?B?{b64encode(piece.encode()).decode()}?=" for piece in pieces)
