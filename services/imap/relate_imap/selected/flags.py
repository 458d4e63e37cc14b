"""Flags as a client names them, and as they are kept: keywords know no case, but keep the first spelling."""

from relate_imap.commands import FlagList, StoreMode
from relate_imap.replies import Refused
from relate_mailstore.keywords import key_of, spell
from relate_mailstore.types import Flag, FlagChange, Snapshot

# As plain ints: an enum's "&" costs more than all else that is done with a flag of ten thousand messages.
SEEN, DELETED = int(Flag.SEEN), int(Flag.DELETED)

# Every keyword costs all clients that list the mailbox: one that is longer is a program's error.
MAX_KEYWORD_OCTETS = 255

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
_USUAL = {key_of(keyword): keyword for keyword in WELL_KNOWN}


def change_of(mode: StoreMode, flags: FlagList) -> FlagChange:
    """What a STORE asks for."""
    match mode:
        case StoreMode.ADD:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords)
        case StoreMode.REMOVE:
            return FlagChange(remove=flags.flags, remove_keywords=flags.keywords)
        case StoreMode.REPLACE:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords, replace=True)


def spelled(flags: FlagList, snapshot: Snapshot) -> FlagList:
    """The same flags with keywords as those in this mailbox are spelled.

    Raises Refused for one that is too long, TooManyKeywords where the mailbox would have too many.
    """
    if not flags.keywords:
        return flags
    if any(len(keyword) > MAX_KEYWORD_OCTETS for keyword in flags.keywords):
        raise Refused("A keyword is too long", "LIMIT")
    usual = [_USUAL.get(key_of(keyword), keyword) for keyword in flags.keywords]
    return flags._replace(keywords=spell(usual, snapshot.keywords))
