"""Octets of a named charset to text, whatever the name and whatever the octets.

Names come from a table, never from the message: looking up a stranger's name would import a module for it and keep the
name for ever. Cleaned text can be stored and shown: no NUL, no lone surrogate, no control character.
"""

import re
from encodings.aliases import aliases

MAX_TEXT = 4_096
"""Characters kept of one decoded value: lists and search need no more, and the envelope has the whole field."""

_NOT_TEXT = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
)
_WITHOUT_ALIAS = ("cp720", "cp737", "cp856", "cp874", "cp875", "iso8859_1", "koi8_t", "koi8_u", "utf_8_sig")
_SUPERSETS = {  # what senders mean by these names, as the WHATWG's Encoding standard has it
    "ascii": "",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
}
_CODECS = {
    name: _SUPERSETS.get(codec, codec)
    for name, codec in [*aliases.items(), *((codec, codec) for codec in (*aliases.values(), *_WITHOUT_ALIAS))]
    if codec not in _NOT_TEXT
} | {"iso_8859_8_i": "iso8859_8", "iso8859_1": "cp1252", "x_sjis": "cp932"}

_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROLS_IN_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def decode_unlabelled(octets: bytes) -> str:
    """Octets without a (usable) charset: UTF-8 (RFC 6532) if most of them are, else Latin-1, which everything is.

    A character that was cut in two, or a stray octet, becomes U+FFFD: it does not turn the rest into Latin-1.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    characters = len(text) - len(text.encode("ascii", "ignore")) - damaged  # of several octets each
    return text if characters >= damaged else octets.decode("latin-1")


def decode_charset(octets: bytes, charset: str) -> str:
    """Octets of `charset`; what cannot be decoded becomes U+FFFD. An unknown charset is none at all."""
    codec = _CODECS.get(charset.lower().replace("-", "_"))
    return octets.decode(codec, "replace") if codec else decode_unlabelled(octets)


def clean_value(text: str) -> str:
    """One line of at most MAX_TEXT characters, without control characters."""
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT]
    return text if text.isprintable() else _CONTROLS.sub(" ", text)


def clean_lines(text: str) -> str:
    """Text without control characters, except tab, CR and LF."""
    return _CONTROLS_IN_LINES.sub(" ", text)
