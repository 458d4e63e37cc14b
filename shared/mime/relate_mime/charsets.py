"""Decode octets of a labelled charset to text, for any label and any octets.

Labels are looked up in a table, never by `codecs.lookup`, which would import a module for an untrusted label and cache
the label without a bound. Cleaned text can be stored and displayed: no NUL, lone surrogate or control character.
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF32_BE, BufferedIncrementalDecoder, getincrementaldecoder
from collections.abc import Iterator
from encodings.aliases import aliases

from webencodings.labels import LABELS

MAX_TEXT_CHARACTERS = 4_096
"""Of one decoded value: enough for lists and search, as the envelope has the complete field."""

MAX_LABEL_CHARACTERS = 64
"""Of the longest label that is looked up: RFC 2978 §2.3 allows 40."""

SLICE_OCTETS = 16_384
"""Decoded per call, which holds the GIL: at most 2 ms, if every octet is an error."""

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]|(?<![0-9])0+(?=[0-9])")

_NOT_TEXT = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
)
_WITHOUT_ALIAS = ("cp720", "cp737", "cp856", "cp874", "cp875", "iso8859_1", "koi8_t", "koi8_u", "utf_8_sig")
_UNLABELLED = ""
_SUPERSETS = {  # the charset that senders use under a label, by the WHATWG's Encoding standard
    "ascii": _UNLABELLED,
    "big5": "cp950",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso2022_jp": "iso2022_jp_ext",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "tis_620": "cp874",
}
_WHATWG_NAMES = {  # the WHATWG's encodings that have another name, or no codec, in Python
    "iso-8859-8-i": "iso8859_8",
    "macintosh": "mac_roman",
    "replacement": _UNLABELLED,
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-user-defined": _UNLABELLED,
}
_IANA_LABELS = {  # registered names that neither Python nor the WHATWG has, of charsets that Python decodes
    "CCSID00858": "cp858",
    "CCSID01140": "cp1140",
    "CP50220": "iso2022_jp",
    "CP51932": "euc_jp",
    "Extended_UNIX_Code_Packed_Format_for_Japanese": "euc_jp",
    "ISO-10646-UCS-4": "utf_32",
    "ISO-8859-1-Windows-3.0-Latin-1": "cp1252",
    "ISO-8859-1-Windows-3.1-Latin-1": "cp1252",
    "ISO-8859-2-Windows-Latin-2": "cp1250",
    "ISO-8859-9-Windows-Latin-5": "cp1254",
    "JIS_Encoding": "iso2022_jp",
    "JIS_X0201": "shift_jis",
    "PC-Multilingual-850+euro": "cp858",
    "UNICODE-1-1": "utf_16",
    "X0201": "shift_jis",
    "csBig5HKSCS": "big5hkscs",
    "csCP50220": "iso2022_jp",
    "csCP51932": "euc_jp",
    "csGB18030": "gb18030",
    "csGBK": "gbk",
    "csHalfWidthKatakana": "shift_jis",
    "csIBM00858": "cp858",
    "csIBM01140": "cp1140",
    "csISO2022JP2": "iso2022_jp_2",
    "csISO885913": "iso8859_13",
    "csISO885914": "iso8859_14",
    "csISO885915": "iso8859_15",
    "csISO885916": "iso8859_16",
    "csJISEncoding": "iso2022_jp",
    "csKOI8U": "koi8_u",
    "csKZ1048": "kz1048",
    "csTIS620": "tis_620",
    "csUCS4": "utf_32",
    "csUTF16": "utf_16",
    "csUTF16BE": "utf_16_be",
    "csUTF16LE": "utf_16_le",
    "csUTF32": "utf_32",
    "csUTF32BE": "utf_32_be",
    "csUTF32LE": "utf_32_le",
    "csUTF7": "utf_7",
    "csUTF8": "utf_8",
    "csUnicode11": "utf_16",
    "csUnicode11UTF7": "utf_7",
    "csWindows30Latin1": "cp1252",
    "csWindows31J": "cp932",
    "csWindows31Latin1": "cp1252",
    "csWindows31Latin2": "cp1250",
    "csWindows31Latin5": "cp1254",
    "cswindows1250": "cp1250",
    "cswindows1251": "cp1251",
    "cswindows1252": "cp1252",
    "cswindows1253": "cp1253",
    "cswindows1254": "cp1254",
    "cswindows1255": "cp1255",
    "cswindows1256": "cp1256",
    "cswindows1257": "cp1257",
    "cswindows1258": "cp1258",
    "cswindows874": "cp874",
    "ebcdic-us-37+euro": "cp1140",
    "windows-936": "gbk",
}


def _fold_label(label: str) -> str:
    """A label as labels are compared (Unicode Technical Standard 22, §1.4): CP00858 is cp858."""
    return _NOT_ALPHANUMERIC.sub("", label.lower())


def _codecs_by_label() -> dict[str, str]:
    """Every label that is known, folded, and Python's codec for it. Where they disagree, Python's names count."""
    text_codecs = {codec: codec for codec in (*aliases.values(), *_WITHOUT_ALIAS)}
    python = {_fold_label(label): codec for label, codec in (text_codecs | aliases).items() if codec not in _NOT_TEXT}
    whatwg = {
        _fold_label(label): _WHATWG_NAMES[name] if name in _WHATWG_NAMES else python[_fold_label(name)]
        for label, name in LABELS.items()
    }
    iana = {_fold_label(label): codec for label, codec in _IANA_LABELS.items()}
    return {label: _SUPERSETS.get(codec, codec) for label, codec in (iana | whatwg | python).items()}


_CODECS = _codecs_by_label()
_BIG_ENDIAN_MARKS = {"utf_16": BOM_UTF16_BE, "utf_32": BOM_UTF32_BE}

_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROLS_IN_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def decode_unlabelled(octets: bytes) -> str:
    """Decode octets without a known charset as UTF-8 (RFC 6532) if most of them are valid, else as Latin-1.

    A truncated character or a stray octet becomes U+FFFD and does not turn the rest into Latin-1.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    characters = len(text) - len(text.encode("ascii", "ignore")) - damaged  # multi-octet characters
    return text if characters >= damaged else octets.decode("latin-1")


def decode_charset(octets: bytes, charset: str) -> str:
    """Decode octets of `charset`, errors as U+FFFD; those of an unknown charset with `decode_unlabelled`."""
    return "".join(decode_slices(octets, charset))


def decode_slices(octets: bytes, charset: str) -> Iterator[str]:
    """Like `decode_charset`, but yields a piece per SLICE_OCTETS, so that a caller may stop early."""
    codec = _codec(charset)
    if not codec:
        text = decode_unlabelled(octets)
        for start in range(0, len(text), SLICE_OCTETS):
            yield text[start : start + SLICE_OCTETS]
    elif len(octets) <= SLICE_OCTETS:
        yield octets.decode(codec, "replace")
    else:
        yield from _decode_incrementally(octets, codec)


def _decode_incrementally(octets: bytes, codec: str) -> Iterator[str]:
    if codec in _BIG_ENDIAN_MARKS:  # these incremental decoders require a byte order mark
        codec += "_be" if octets.startswith(_BIG_ENDIAN_MARKS[codec]) else "_le"
    decoder = getincrementaldecoder(codec)("replace")
    for start in range(0, len(octets), SLICE_OCTETS):
        piece = octets[start : start + SLICE_OCTETS]
        try:
            yield decoder.decode(piece)
        except UnicodeError:  # CPython keeps at most 8 octets of an escape sequence that continues in the next slice
            decoder.reset()
            yield piece.decode(codec, "replace")
        if isinstance(decoder, BufferedIncrementalDecoder) and len(decoder.buffer) > SLICE_OCTETS:
            yield decoder.decode(b"", final=True)  # UTF-7 that never shifts back: restart from here
            decoder.reset()
    yield decoder.decode(b"", final=True)


def _codec(charset: str) -> str:
    """The codec for a label; _UNLABELLED for one that is unknown or ambiguous."""
    return _CODECS.get(_fold_label(charset), _UNLABELLED) if len(charset) <= MAX_LABEL_CHARACTERS else _UNLABELLED


def clean_value(text: str) -> str:
    """Replace control characters and line ends by spaces, and truncate to MAX_TEXT_CHARACTERS."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = text[:MAX_TEXT_CHARACTERS]
    return text if text.isprintable() else _CONTROLS.sub(" ", text)


def clean_lines(text: str) -> str:
    """Replace control characters by spaces, except tab, CR and LF."""
    return _CONTROLS_IN_LINES.sub(" ", text)
