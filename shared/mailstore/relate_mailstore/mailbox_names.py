"""Names of mailboxes: hierarchy, canonical and normal form, order, limits, the mailboxes of a new account. Pure."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator

from relate_mailstore.errors import InvalidMailboxName, MailboxExists, TooManyMailboxes
from relate_mailstore.types import INBOX

DELIMITER = "/"
"""The hierarchy delimiter (RFC 9051 §5.1)."""

ARCHIVE, DRAFTS, JUNK, SENT, TRASH = "\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"
"""Special uses of mailboxes (RFC 6154 §2)."""

OWN_USES = frozenset({DRAFTS, SENT})
"""Those of mailboxes whose messages the user has written."""

DEFAULT_MAILBOXES = {INBOX: "", "Archive": ARCHIVE, "Drafts": DRAFTS, "Junk": JUNK, "Sent": SENT, "Trash": TRASH}
"""The mailboxes of a new account and their special use (RFC 6154 §2)."""

MAX_NAME_OCTETS = 1000
"""Of a mailbox name: enough for the hierarchies that users create, and few enough for a database index."""

MAX_LEVELS = 50
"""Of a mailbox name; deeper than trees that people create."""

MAX_MAILBOXES = 5000
"""Per account: more than users create, and few enough to list and lock all of them quickly."""


def normal_form(name: str) -> str:
    """The name in Normalization Form C, in which names are compared (RFC 9051 §5.1, RFC 5198 §2).

    A name that is too long for a mailbox stays as it is, because normalizing is quadratic in a run of combining marks.
    """
    return name if name.isascii() or len(name) > MAX_NAME_OCTETS else unicodedata.normalize("NFC", name)


def canonical_name(name: str) -> str:
    """`INBOX` for INBOX in any case (RFC 9051 §5.1); any other name unchanged."""
    return INBOX if name.lower() == INBOX.lower() else name


def check_new_name(name: str) -> str:
    """The normal form of a valid name for a new mailbox (RFC 9051 §5.1). Raises InvalidMailboxName."""
    name = normal_form(name)
    levels = name.split(DELIMITER)
    if not all(levels):
        raise InvalidMailboxName("A level of the name is empty")
    if _is_too_long(name):
        raise InvalidMailboxName("The name is too long", is_limit=True)
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise InvalidMailboxName("A character of the name is not allowed")
    return DELIMITER.join([canonical_name(levels[0]), *levels[1:]])


def check_renaming(was: str, name: str) -> None:
    """Raise InvalidMailboxName if a mailbox would be moved below itself. `name` is from `check_new_name`."""
    form = normal_form(was)
    is_into_form = name == form != was
    if (name + DELIMITER).startswith(form + DELIMITER) and not is_into_form:
        raise InvalidMailboxName("A mailbox cannot be moved below itself")


def deletable_name(name: str) -> str:
    """The canonical name. Raises ValueError for INBOX, which cannot be deleted (RFC 9051 §6.3.5)."""
    if (canonical := canonical_name(name)) == INBOX:
        raise ValueError("INBOX cannot be deleted")
    return canonical


def find_name(names: Iterable[str], name: str) -> str | None:
    """The existing name that equals `name`, else the first that has the same normal form."""
    same, form = None, normal_form(name)
    for candidate in names:
        if candidate == name:
            return candidate
        if same is None and normal_form(candidate) == form:
            same = candidate
    return same


def normalise_new_name(names: Iterable[str], name: str) -> str:
    """The name of a new mailbox in normal form, with its parents spelled as among the existing names."""
    name = normal_form(name)
    if name.isascii():
        return name
    existing = {level for one in names for level in (one, *parents(one))}
    spellings = {normal_form(level): level for level in existing} | {level: level for level in existing}
    parent = next((parent for parent in parents(name) if parent in spellings), "")
    return spellings.get(parent, "") + name[len(parent) :]


def parents(name: str) -> Iterator[str]:
    """The names of all superior levels, the nearest first: `a/b` and `a` for `a/b/c`."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name


def check_mailbox_limit(mailboxes: int) -> None:
    """Raise TooManyMailboxes if an account with this number of mailboxes may not have another."""
    if mailboxes >= MAX_MAILBOXES:
        raise TooManyMailboxes(f"{mailboxes} mailboxes")


def name_order(name: str) -> tuple[bool, str]:
    """The sort key of mailbox names: INBOX first."""
    return name != INBOX, name


def renamed_names(names: Collection[str], old: str, new: str) -> dict[str, str]:
    """The new names, by the old ones, of a renamed mailbox and its inferiors.

    Raises MailboxExists, InvalidMailboxName if one of them would be too long.
    """
    old = find_name((level for name in names for level in (name, *parents(name))), old) or old
    moved = [name for name in names if name == old or name.startswith(old + DELIMITER)]
    others = {*names} - {*moved}
    new = normalise_new_name(others, new)
    renamed = {name: new + name[len(old) :] for name in moved}
    if any(map(_is_too_long, renamed.values())):
        raise InvalidMailboxName("The new name of a mailbox is too long", is_limit=True)
    reserved = {*map(normal_form, others), *(renamed.keys() & {*renamed.values()})}
    if not reserved.isdisjoint(map(normal_form, renamed.values())):
        raise MailboxExists("a new name exists")
    return renamed


def _is_too_long(name: str) -> bool:
    return len(name.encode(errors="surrogatepass")) > MAX_NAME_OCTETS or name.count(DELIMITER) >= MAX_LEVELS
