"""SMTP's commands: a line is parsed into a frozen value (RFC 5321 §4.1.1 and the extensions of `context`).

`parse` never raises: a malformed line is a value too, `Invalid`. The initial response of AUTH is wrapped in `Secret` as
soon as it is cut from the line. Whether a command is allowed is not checked here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from relate_smtp import replies
from relate_smtp.framing import Frame, read_bdat
from relate_smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, Grammar, ParameterFault, parse_parameters
from relate_submission.paths import is_client_name, parse_forward_path, parse_reverse_path
from relate_wire.reply import Reply
from relate_wire.secret import Secret

UNKNOWN = "UNKNOWN"  # the verb of an unknown command, so that the set of verbs is bounded

_AUTH = re.compile(r"(?P<mechanism>[A-Za-z0-9_-]{1,20})(?: +(?P<initial>\S+))?")  # RFC 4422 §3.1


@dataclass(frozen=True, slots=True)
class Bare:
    """A verb whose arguments are empty or ignored: DATA, RSET, NOOP, QUIT, VRFY, EXPN, HELP, STARTTLS."""

    verb: str


@dataclass(frozen=True, slots=True)
class Hello:
    """HELO or EHLO, and the client's name for itself."""

    verb: str
    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL. `sender` is empty for the null reverse-path; `size` is in octets, 0 if it is not declared."""

    sender: str
    size: int = 0
    body: str = "7BIT"
    utf8: bool = False
    ret: str = ""
    envid: str = ""
    verb: Literal["MAIL"] = "MAIL"


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT, with the parameters of RFC 3461."""

    recipient: str
    notify: str = ""
    orcpt: str = ""
    verb: Literal["RCPT"] = "RCPT"

    @property
    def needs_utf8(self) -> bool:
        """Whether an address is not ASCII (RFC 6531 §3.3)."""
        return not (self.recipient.isascii() and self.orcpt.isascii())


@dataclass(frozen=True, slots=True)
class Bdat:
    """BDAT: the size of the chunk in octets, and whether it is the last of the message."""

    size: int
    last: bool
    verb: Literal["BDAT"] = "BDAT"


@dataclass(frozen=True, slots=True)
class Auth:
    """`AUTH mechanism [initial-response]`; `initial` is in base64."""

    mechanism: str
    initial: Secret[bytes] | None = None
    verb: Literal["AUTH"] = "AUTH"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A malformed line, and the reply to it."""

    verb: str
    reply: Reply


Command = Bare | Hello | Mail | Rcpt | Bdat | Auth | Invalid


class Malformed(Exception):
    """Malformed arguments, and the reply to them."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


def parse(frame: Frame) -> Command:
    """The command of a line. Verbs are case-insensitive (RFC 5321 §2.4)."""
    keyword, _, arguments = frame.octets.partition(b" ")
    verb = VERBS.get(keyword.upper(), UNKNOWN)
    try:
        if verb in GRAMMAR and frame.fault is None:
            return GRAMMAR[verb](verb, expect_text(arguments))
        if keyword[:4].upper() == b"BDAT":  # also before a tab or NUL, because a chunk may follow
            return parse_bdat(frame)
        raise Malformed(replies.UNKNOWN_COMMAND if frame.fault is None else replies.LINE_FAULTS[frame.fault])
    except Malformed as error:
        return Invalid(verb, error.reply)


def parse_bdat(frame: Frame) -> Bdat:
    """`BDAT chunk-size [LAST]`"""
    # The framer's own parser: if there were two that differ, a chunk might be parsed as commands (SMTP smuggling).
    announced = read_bdat(frame)
    if announced is None:
        raise Malformed(replies.BAD_BDAT)
    return Bdat(*announced)


def parse_bare(verb: str, arguments: str) -> Bare:
    """A verb without arguments. Raises Malformed."""
    if arguments:
        raise Malformed(replies.NO_ARGUMENT)
    return Bare(verb)


def parse_lenient(verb: str, _: str) -> Bare:
    """A verb whose arguments are ignored (RFC 5321 §4.1.1.8, §4.1.1.9)."""
    return Bare(verb)


def parse_vrfy(verb: str, arguments: str) -> Bare:
    """`VRFY string`"""
    if not arguments:
        raise Malformed(replies.BAD_VRFY)
    return Bare(verb)


def parse_hello(verb: str, arguments: str) -> Hello:
    """`HELO domain`, `EHLO domain-or-literal`"""
    if not is_client_name(arguments):
        raise Malformed(replies.BAD_NAME)
    return Hello(verb, arguments)


def parse_mail(_: str, arguments: str) -> Mail:
    """`MAIL FROM:<reverse-path> [parameters]`"""
    if arguments[:5].upper() != "FROM:":
        raise Malformed(replies.BAD_MAIL)
    # No space may follow the colon (RFC 5321 §3.3), but old clients and many scripts send one.
    path = parse_reverse_path(arguments[5:].lstrip(" "))
    if path is None:
        raise Malformed(replies.BAD_SENDER)
    sender, rest = path
    mail = _mail(sender, expect_parameters(rest, MAIL_PARAMETERS)) if rest else Mail(sender)
    if not (mail.utf8 or arguments.isascii()):
        raise Malformed(replies.NEEDS_SMTPUTF8)
    return mail


def parse_rcpt(_: str, arguments: str) -> Rcpt:
    """`RCPT TO:<forward-path> [parameters]`"""
    if arguments[:3].upper() != "TO:":
        raise Malformed(replies.BAD_RCPT)
    path = parse_forward_path(arguments[3:].lstrip(" "))  # with a space, as in MAIL
    if path is None:
        raise Malformed(replies.BAD_RECIPIENT)
    recipient, rest = path
    if not rest:
        return Rcpt(recipient)
    parameters = expect_parameters(rest, RCPT_PARAMETERS)
    return Rcpt(recipient, parameters.get("NOTIFY", "").upper(), parameters.get("ORCPT", ""))


def parse_auth(_: str, arguments: str) -> Auth:
    """`AUTH mechanism [initial-response]`"""
    match = _AUTH.fullmatch(arguments)
    if match is None:
        raise Malformed(replies.BAD_AUTH)
    initial = match["initial"]
    return Auth(match["mechanism"].upper(), Secret(initial.encode()) if initial else None)


def expect_text(octets: bytes) -> str:
    """Arguments without the white space that some clients send around them. Raises Malformed."""
    try:
        return octets.decode().strip(" \t")
    except UnicodeDecodeError:
        raise Malformed(replies.NOT_UTF8) from None


def expect_parameters(text: str, grammar: Grammar) -> Mapping[str, str]:
    """The parameters after a path. Raises Malformed."""
    parameters = parse_parameters(text, grammar)
    if isinstance(parameters, ParameterFault):
        raise Malformed(replies.PARAMETER_FAULTS[parameters])
    return parameters


def _mail(sender: str, parameters: Mapping[str, str]) -> Mail:
    # AUTH= (RFC 4954 §5) is accepted and ignored, because it is the unverified claim of another server.
    return Mail(
        sender,
        size=int(parameters.get("SIZE", 0)),
        body=parameters.get("BODY", "7BIT").upper(),
        utf8="SMTPUTF8" in parameters,
        ret=parameters.get("RET", "").upper(),
        envid=parameters.get("ENVID", ""),
    )


GRAMMAR: Mapping[str, Callable[[str, str], Command]] = {
    "AUTH": parse_auth,
    "DATA": parse_bare,
    "EHLO": parse_hello,
    "EXPN": parse_lenient,
    "HELO": parse_hello,
    "HELP": parse_lenient,
    "MAIL": parse_mail,
    "NOOP": parse_lenient,
    "QUIT": parse_bare,
    "RCPT": parse_rcpt,
    "RSET": parse_bare,
    "STARTTLS": parse_bare,
    "VRFY": parse_vrfy,
}
VERBS: Mapping[bytes, str] = {verb.encode(): verb for verb in (*GRAMMAR, "BDAT")}
"""Every verb except UNKNOWN, by its octets."""
