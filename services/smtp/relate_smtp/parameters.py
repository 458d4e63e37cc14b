"""The parameters of MAIL and RCPT: their keywords, and the grammar of their values (RFC 5321 §4.1.2).

Keywords are case-insensitive and may be given once.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto


class ParameterFault(Enum):
    """The reason why parameters are refused."""

    UNKNOWN = auto()  # 555
    MALFORMED = auto()  # 501


# RFC 3461 §4: printable characters, with "+" and "=" as +2B and +3D.
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})"
# RFC 6533 §3: with SMTPUTF8, an original recipient may contain UTF-8 unencoded.
_UTF8_XTEXT = rf"(?:{_XTEXT}|[\u00a0-\U0010ffff])"
_EVENT = "(?:SUCCESS|FAILURE|DELAY)"

Grammar = Mapping[str, re.Pattern[str]]


def _grammar(**values: str) -> Grammar:
    return {keyword: re.compile(value, re.IGNORECASE | re.ASCII) for keyword, value in values.items()}


MAIL_PARAMETERS = _grammar(
    SIZE=r"[0-9]{1,20}",  # RFC 1870 §3
    BODY=r"7BIT|8BITMIME|BINARYMIME",  # RFC 6152 §2, RFC 3030 §3
    SMTPUTF8=r"",  # RFC 6531 §3.4: it has no value
    AUTH=rf"<>|{_UTF8_XTEXT}{{1,500}}",  # RFC 4954 §5
    RET=r"FULL|HDRS",  # RFC 3461 §4.3
    ENVID=rf"{_XTEXT}{{1,100}}",  # RFC 3461 §4.4
)
RCPT_PARAMETERS = _grammar(
    NOTIFY=rf"NEVER|{_EVENT}(?:,{_EVENT}){{0,2}}",  # RFC 3461 §4.1
    ORCPT=rf"[A-Za-z0-9-]+;{_UTF8_XTEXT}{{1,500}}",  # RFC 3461 §4.2
)


def parse_parameters(text: str, grammar: Grammar) -> Mapping[str, str] | ParameterFault:
    """The parameters after a path, by keyword in upper case. `text` is empty or begins with a space."""
    if text and not text.startswith(" "):
        return ParameterFault.MALFORMED
    parameters: dict[str, str] = {}
    for item in filter(None, text.split(" ")):
        keyword, _, value = item.partition("=")
        keyword = keyword.upper()
        if keyword not in grammar:
            return ParameterFault.UNKNOWN
        if keyword in parameters or not grammar[keyword].fullmatch(value):
            return ParameterFault.MALFORMED
        parameters[keyword] = value
    return parameters
