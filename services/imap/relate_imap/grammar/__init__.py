"""Parses a frame into a command (RFC 9051 §9, RFC 3501 §9, and the extensions in CAPABILITY).

`parse` never raises: a malformed frame is a value, `Invalid`. Whether a command is allowed and its mailbox exists is
checked later. Passwords are wrapped in `Secret` as soon as they are parsed.
"""

import re
from collections.abc import Callable, Mapping

from relate_imap.commands import UNKNOWN, Command, Invalid
from relate_imap.framing import Fault, Frame
from relate_imap.grammar import append, fetch, list_status, login, mailboxes, search, sort, store
from relate_imap.grammar.cursor import TAG_CHAR, Cursor, Malformed

Production = Callable[[Cursor, str, str], Command]

# Every response repeats the tag; the longest tags of clients have about 20 octets.
MAX_TAG_OCTETS = 128

_HEAD = re.compile(
    rb"(?P<tag>%b{1,%d})(?: (?P<verb>(?:UID )?[A-Z]+))?(?= |\Z)" % (TAG_CHAR, MAX_TAG_OCTETS), re.IGNORECASE
)

FAULTS: Mapping[Fault, tuple[str, str]] = {
    Fault.TOO_LONG: ("The command is too long", ""),
    Fault.TOO_LARGE: ("The literal is too large", "TOOBIG"),
    Fault.TOO_MANY: ("Too many literals", ""),
    Fault.DROPPED: ("Not enough memory for the literals, try again later", "LIMIT"),
    Fault.BAD_LITERAL: ("Invalid literal size", ""),
    Fault.BARE_CR: ("A CR without LF", ""),
    Fault.NUL: ("A NUL is not allowed", ""),
}
"""Text and response code of each fault; with a code the response is NO, else BAD."""


def parse(frame: Frame, utf8: bool = False) -> Command:
    """Parse a frame; `utf8` means that the client has enabled UTF8=ACCEPT or IMAP4rev2."""
    head = _HEAD.match(frame.text)
    if head is None:
        return Invalid("*", UNKNOWN, FAULTS[frame.fault][0] if frame.fault else "A tag and a command are expected")
    tag = head["tag"].decode("ascii")
    verb, production = GRAMMAR.get((head["verb"] or b"").upper(), _NOTHING)
    if frame.fault is not None:
        why, code = FAULTS[frame.fault]
        return Invalid(tag, verb, why, code, refused=bool(code))
    try:
        return production(Cursor(frame.text, frame.literals, head.end(), utf8=utf8), tag, verb)
    except Malformed as error:
        return Invalid(tag, verb, error.reason, error.code, error.refused, error.saves_result)


def unknown(_: Cursor, tag: str, verb: str) -> Invalid:
    """The production of unknown commands."""
    return Invalid(tag, verb, "Unknown command")


_NOTHING: tuple[str, Production] = UNKNOWN, unknown

_PRODUCTIONS: Mapping[str, Production] = {
    "APPEND": append.append,
    "AUTHENTICATE": login.authenticate,
    "CAPABILITY": login.bare,
    "CHECK": login.bare,
    "CLOSE": login.bare,
    "COMPRESS": login.compress,
    "COPY": store.copy,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.mailbox_command,
    "ENABLE": login.enable,
    "EXAMINE": mailboxes.select,
    "EXPUNGE": login.bare,
    "FETCH": fetch.fetch,
    "GETQUOTA": mailboxes.get_quota,
    "GETQUOTAROOT": mailboxes.mailbox_command,
    "ID": login.identify,
    "IDLE": login.bare,
    "LIST": list_status.list_mailboxes,
    "LOGIN": login.login,
    "LOGOUT": login.bare,
    "LSUB": list_status.list_subscribed,
    "MOVE": store.copy,
    "NAMESPACE": login.bare,
    "NOOP": login.bare,
    "RENAME": mailboxes.rename,
    "REPLACE": append.replace,
    "SEARCH": search.search,
    "SELECT": mailboxes.select,
    "SETQUOTA": mailboxes.set_quota,
    "SORT": sort.sort,
    "STARTTLS": login.bare,
    "STATUS": list_status.status,
    "STORE": store.store,
    "SUBSCRIBE": mailboxes.mailbox_command,
    "THREAD": sort.thread,
    "UID COPY": store.copy,
    "UID EXPUNGE": store.uid_expunge,
    "UID FETCH": fetch.fetch,
    "UID MOVE": store.copy,
    "UID REPLACE": append.replace,
    "UID SEARCH": search.search,
    "UID SORT": sort.sort,
    "UID STORE": store.store,
    "UID THREAD": sort.thread,
    "UNSELECT": login.bare,
    "UNSUBSCRIBE": mailboxes.mailbox_command,
}
GRAMMAR: Mapping[bytes, tuple[str, Production]] = {verb.encode(): (verb, it) for verb, it in _PRODUCTIONS.items()}
"""Verb and production of every command, by its name in capitals."""
