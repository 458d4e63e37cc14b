"""Flags as a client names them, and as they are kept: keywords know no case, but keep the first spelling."""

from relate_imap.answers import Refused
from relate_imap.commands import FlagList, StoreMode
from relate_mailstore.types import Flag, FlagChange, Snapshot

# As plain ints: an enum's "&" costs more than all else that is done with a flag of ten thousand messages.
SEEN, DELETED = int(Flag.SEEN), int(Flag.DELETED)

# Every keyword costs all clients that list the mailbox: more than people ever label, or as long, is a program's error.
MAX_KEYWORDS = 100
MAX_KEYWORD = 255

# Keywords that programs agree on (the registry of RFC 5788, and what Thunderbird writes), in their usual spelling.
WELL_KNOWN = (
    "$Forwarded",
    "$MDNSent",
    "$SubmitPending",
    "$Submitted",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$Important",
    "Junk",
    "NonJunk",
)
_USUAL = {keyword.lower(): keyword for keyword in WELL_KNOWN}


def change_of(mode: StoreMode, flags: FlagList) -> FlagChange:
    """What a STORE asks for."""
    match mode:
        case StoreMode.ADD:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords)
        case StoreMode.REMOVE:
            return FlagChange(remove=flags.flags, remove_keywords=flags.keywords)
        case StoreMode.REPLACE:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords, replace=True)


def spelled(flags: FlagList, snapshot: Snapshot | None) -> FlagList:
    """The same flags with keywords as those in this mailbox are spelled. Raises Refused for too many or too long."""
    if not flags.keywords:
        return flags
    if len(flags.keywords) > MAX_KEYWORDS or any(len(keyword) > MAX_KEYWORD for keyword in flags.keywords):
        raise Refused("Too many keywords, or too long", "LIMIT")
    usual = _USUAL | {keyword.lower(): keyword for keyword in (snapshot.keywords if snapshot else ())}
    return flags._replace(keywords=tuple(usual.get(keyword.lower(), keyword) for keyword in flags.keywords))
