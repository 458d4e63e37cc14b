"""Parsed IMAP commands: frozen values, one class per form of arguments (RFC 9051 §6 and its extensions).

`verb` is the command's name in capitals, with "UID " in front if given: "UID FETCH". Whether a command is allowed and
its mailbox exists is checked later. Mailbox names are decoded to Unicode.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from relate_imap.search.keys import SearchKey
from relate_imap.selected.sequence_set import SequenceSet
from relate_mailstore.types import ModSeq
from relate_wire.secret import Secret

UNKNOWN = "UNKNOWN"  # the verb of unknown commands, so that metrics have a fixed set of verbs


class FlagList(NamedTuple):
    """Flags of STORE or APPEND: bits of `relate_mailstore.types.Flag`, and keywords as written."""

    flags: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoArguments:
    """CAPABILITY NOOP LOGOUT STARTTLS NAMESPACE IDLE CHECK CLOSE UNSELECT EXPUNGE."""

    tag: str
    verb: str


@dataclass(frozen=True, slots=True)
class Id:
    """ID (RFC 2971): how the client identifies itself; values may be None. No fields for NIL."""

    tag: str
    fields: tuple[tuple[str, str | None], ...]
    verb: str = "ID"


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE mechanism [initial-response] (RFC 9051 §6.2.2). `initial` is base64, `=` for an empty one."""

    tag: str
    mechanism: str
    initial: Secret[bytes] | None = None
    verb: str = "AUTHENTICATE"


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN (RFC 9051 §6.2.3)"""

    tag: str
    login: str
    secret: Secret[str]
    verb: str = "LOGIN"


@dataclass(frozen=True, slots=True)
class Atoms:
    """A verb and atoms in capitals: ENABLE (RFC 5161), COMPRESS (RFC 4978)."""

    tag: str
    verb: str
    atoms: tuple[str, ...]


class QresyncParameter(NamedTuple):
    """The QRESYNC parameter of SELECT (RFC 7162 §3.2.5): the last state that the client has synchronized."""

    uid_validity: int
    modseq: ModSeq
    known_uids: SequenceSet | None = None
    sequence_match_data: tuple[SequenceSet, SequenceSet] | None = None  # known-sequence-set, known-uid-set


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT or EXAMINE, with the parameters of RFC 7162."""

    tag: str
    verb: str
    mailbox: str
    condstore: bool = False
    qresync: QresyncParameter | None = None


@dataclass(frozen=True, slots=True)
class MailboxCommand:
    """DELETE SUBSCRIBE UNSUBSCRIBE GETQUOTAROOT, and GETQUOTA with a quota root."""

    tag: str
    verb: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE, with the USE parameter of RFC 6154: attributes as written, e.g. "\\Sent"."""

    tag: str
    mailbox: str
    special_use: tuple[str, ...] = ()
    verb: str = "CREATE"


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME"""

    tag: str
    mailbox: str
    new_name: str
    verb: str = "RENAME"


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA (RFC 9208 §4.1.3), parsed so that it can be answered NO; quotas are set by administrators."""

    tag: str
    root: str
    verb: str = "SETQUOTA"


@dataclass(frozen=True, slots=True)
class List:
    """LIST with RFC 5258, RFC 5819 and RFC 6154; and LSUB. Options are in capitals.

    `extended` tells whether syntax of RFC 5258 was used: without it an empty pattern requests the delimiter.
    """

    tag: str
    verb: str
    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()  # SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE
    returning: frozenset[str] = frozenset()  # SUBSCRIBED CHILDREN SPECIAL-USE
    status: tuple[str, ...] = ()  # RETURN (STATUS (…))
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS; items in capitals, each once."""

    tag: str
    mailbox: str
    items: tuple[str, ...]
    verb: str = "STATUS"


class AppendMessage(NamedTuple):
    """One message of an APPEND. `internal_date` in seconds since the epoch."""

    octets: bytes
    flags: FlagList = FlagList()
    internal_date: int | None = None
    utf8: bool = False  # sent as UTF8 (~{…}) (RFC 9755 §4)


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND, of several messages with MULTIAPPEND (RFC 3502)."""

    tag: str
    mailbox: str
    messages: tuple[AppendMessage, ...]
    verb: str = "APPEND"


@dataclass(frozen=True, slots=True)
class Replace:
    """REPLACE and UID REPLACE (RFC 8508): append a message and expunge the one with this number (0 is "*")."""

    tag: str
    verb: str
    number: int
    mailbox: str
    message: AppendMessage


class SectionText(StrEnum):
    """The text of a section (RFC 9051 §6.4.5). CONTENT is the whole message, or the content of a part."""

    CONTENT = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


class Section(NamedTuple):
    """The brackets of BODY[…]: a part number ("" for the message itself, "1.2") and a text."""

    part: str = ""
    text: SectionText = SectionText.CONTENT
    fields: tuple[str, ...] = ()  # of FIELDS and FIELDS_NOT, in capitals


class Item(NamedTuple):
    """A FETCH data item without arguments, in capitals.

    UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ EMAILID THREADID SAVEDATE PREVIEW.
    """

    name: str


class Body(NamedTuple):
    """BODY[section]<partial>, BINARY[section]<partial>, RFC822, RFC822.HEADER and RFC822.TEXT.

    `label` is the name in the response, without the origin of a partial: `BODY[1.HEADER.FIELDS (FROM)]`.
    """

    section: Section
    label: bytes
    peek: bool = False
    partial: tuple[int, int] | None = None  # offset, octets
    binary: bool = False  # BINARY: with the transfer encoding decoded (RFC 3516)


class BinarySize(NamedTuple):
    """BINARY.SIZE[section] (RFC 3516 §4.3)."""

    section: Section
    label: bytes


Attribute = Item | Body | BinarySize


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH; macros are expanded. CHANGEDSINCE and VANISHED of RFC 7162, PARTIAL of RFC 9394."""

    tag: str
    verb: str
    sequence_set: SequenceSet
    attributes: tuple[Attribute, ...]
    changed_since: ModSeq | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


class StoreMode(StrEnum):
    """How STORE changes flags (RFC 9051 §6.4.6)."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE, with UNCHANGEDSINCE of RFC 7162."""

    tag: str
    verb: str
    sequence_set: SequenceSet
    mode: StoreMode
    flags: FlagList
    silent: bool = False
    unchanged_since: ModSeq | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, MOVE and their UID forms."""

    tag: str
    verb: str
    sequence_set: SequenceSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class UidExpunge:
    """UID EXPUNGE (RFC 4315)."""

    tag: str
    sequence_set: SequenceSet
    verb: str = "UID EXPUNGE"


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH. `returning` is None without RETURN (RFC 4731): then the response is untagged SEARCH.

    RETURN () means ALL, and is {"ALL"} here. `partial` is a range of RFC 9394: negative numbers count from the end.
    """

    tag: str
    verb: str
    key: SearchKey
    returning: frozenset[str] | None = None  # MIN MAX ALL COUNT SAVE PARTIAL
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT and UID SORT (RFC 5256 §3): criteria in capitals, each with whether it is reversed.

    `returning` and `partial` as in `Search` (RFC 5267 §3).
    """

    tag: str
    verb: str
    criteria: tuple[tuple[str, bool], ...]  # ARRIVAL CC DATE DISPLAYFROM DISPLAYTO FROM SIZE SUBJECT TO
    key: SearchKey
    returning: frozenset[str] | None = None
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD and UID THREAD (RFC 5256 §3)."""

    tag: str
    verb: str
    algorithm: str  # ORDEREDSUBJECT or REFERENCES
    key: SearchKey


@dataclass(frozen=True, slots=True)
class Invalid:
    """An unknown or malformed command. `reason` is a sentence for the client and never includes its input.

    `tag` is "*" if none could be parsed. `code` is a response code without brackets: BADCHARSET, TOOBIG, UNKNOWN-CTE.
    `refused` means that the syntax is right and the response is NO, not BAD; `saves_result`, that it was a SEARCH with
    SAVE.
    """

    tag: str
    verb: str
    reason: str
    code: str = ""
    refused: bool = False
    saves_result: bool = False


Command = (
    NoArguments
    | Id
    | Authenticate
    | Login
    | Atoms
    | Select
    | MailboxCommand
    | Create
    | Rename
    | SetQuota
    | List
    | Status
    | Append
    | Replace
    | Fetch
    | Store
    | Copy
    | UidExpunge
    | Search
    | Sort
    | Thread
    | Invalid
)
