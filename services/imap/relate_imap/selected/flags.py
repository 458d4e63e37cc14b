"""Converts flags from commands to changes of the store. Keywords are case-insensitive and keep their first spelling."""

from relate_imap.commands import FlagList, StoreMode
from relate_imap.replies import Refused
from relate_mailstore.keywords import key_of, spell
from relate_mailstore.types import Flag, FlagChange, Snapshot

# Plain ints, because `&` of an enum would dominate loops over ten thousand messages.
SEEN, DELETED = int(Flag.SEEN), int(Flag.DELETED)

# Every client that selects the mailbox is sent its keywords; a longer one is a program's error.
MAX_KEYWORD_OCTETS = 255

# Common keywords (the registry of RFC 5788, and Thunderbird's) in their usual spelling.
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
_USUAL_SPELLING = {key_of(keyword): keyword for keyword in WELL_KNOWN}


def change_of(mode: StoreMode, flags: FlagList) -> FlagChange:
    """The change that a STORE requests."""
    match mode:
        case StoreMode.ADD:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords)
        case StoreMode.REMOVE:
            return FlagChange(remove=flags.flags, remove_keywords=flags.keywords)
        case StoreMode.REPLACE:
            return FlagChange(add=flags.flags, add_keywords=flags.keywords, replace=True)


def in_mailbox_spelling(flags: FlagList, snapshot: Snapshot) -> FlagList:
    """The same flags, keywords in the spelling of this mailbox.

    Raises Refused for a keyword that is too long, TooManyKeywords if the mailbox would exceed its limit.
    """
    if not flags.keywords:
        return flags
    if any(len(keyword) > MAX_KEYWORD_OCTETS for keyword in flags.keywords):
        raise Refused("A keyword is too long", "LIMIT")
    usual = [_USUAL_SPELLING.get(key_of(keyword), keyword) for keyword in flags.keywords]
    return flags._replace(keywords=spell(usual, snapshot.keywords))
