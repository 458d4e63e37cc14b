"""Where our answers differ from Dovecot's, and by what right. What differs and is not here is a fault.

`python -m tests.integration.imap.deviations` prints the table of docs/protocols.md.
"""

from tests.integration.imap.deviation import Deviation, but_for_the_end, more, not_there, only_they, only_we, refused

EXTRA = r"^(CAPABILITY|LOGOUT|CHECK|CLOSE|NOOP|NAMESPACE|EXPUNGE) (x|6)$| extra$|CREATE a b"
EMPTY = r"STORE 1 FLAGS$"
BAD_VALUE = r"32-J|25:30|31-Feb|KEYWORD \\Seen|\[0\]|\[1\.0\]|a[%*\]]b"
ANSWER = r"tagged|^code|FETCH|SEARCH|EXISTS|EXPUNGE|^OK |RECENT|FLAGS|BYE|ID|CAPABILITY|NAMESPACE|ENABLED|STATUS|LIST"
READ_ONLY = r"EXAMINE INBOX → (EXPUNGE|UID EXPUNGE|STORE|MOVE)"
UNHEARD = r"unheardof"
NO_PART = r"^FETCH \d (BODY|BINARY)\[[\d.]+(HEADER|TEXT)?\]"

DEVIATIONS: tuple[Deviation, ...] = (
    # What we say and Dovecot does not.
    Deviation("", r"MAILBOXID", "8474 §4.2", "OBJECTID: SELECT and CREATE tell a mailbox's id", only_we),
    Deviation(
        "",
        r"^OK HIGHESTMODSEQ",
        "7162 §3.1.2.1",
        "HIGHESTMODSEQ comes with every SELECT, whether CONDSTORE was enabled or not, and not again when it is",
    ),
    Deviation(
        'Missing|GETQUOTA|""|SELECT Work|RENAME', r"^code NONEXISTENT", "5530 §3", "what is not there is [NONEXISTENT]"
    ),
    Deviation("CREATE|RENAME", r"^code ALREADYEXISTS", "5530 §3", "what is there already is [ALREADYEXISTS]"),
    Deviation(
        'CREATE|DELETE|RENAME|COPY 1 ""|SELECT ""|AUTHENTICATE NONSENSE',
        r"^code (CANNOT|ALERT)",
        "5530 §3",
        "what can never be is [CANNOT], where no other code says it better; ALERT is for people",
    ),
    Deviation(
        "CREATE Work → CREATE Work/2026 → DELETE Work → DELETE Work",
        r"^code HASCHILDREN",
        "9051 §6.3.5",
        "a name without a mailbox that has others below it cannot be deleted: [HASCHILDREN]",
    ),
    Deviation("SEARCH|SORT|THREAD", r"^code BADCHARSET", "9051 §7.1", "BADCHARSET lists the charsets that there are"),
    Deviation(
        "STATUS", r"^code CLIENTBUG", "9051 §6.3.11", "STATUS of the selected mailbox is answered without a rebuke"
    ),
    Deviation(
        "AUTHENTICATE PLAIN =",
        r"tagged|^code",
        "9051 §6.2.2",
        "what is no message of the mechanism is BAD, as is what is no base64",
    ),
    # Syntax.
    Deviation(EXTRA, ANSWER, "9051 §9", "what a command does not take is BAD", refused),
    Deviation(EMPTY, ANSWER, "9051 §9", "a list that may not be empty is BAD when it is", refused),
    Deviation(
        BAD_VALUE,
        ANSWER,
        "9051 §9",
        "dates that are none, number 0, flags and quoted characters outside of the grammar are BAD",
        refused,
    ),
    Deviation(r"SELECT \{5\}x", r"^\+$", "9051 §4.3", "a literal is announced at a line's end, or it is none"),
    Deviation(
        r"\{9{20}\}",
        r"tagged|BYE",
        "7888 §4",
        "a literal beyond all measure is refused, and the connection stays",
        refused,
    ),
    Deviation(
        r"BINARY\[(HEADER|1\.MIME)\]|BINARY\.SIZE\[2\]<",
        r"tagged|FETCH 3",
        "3516 §4.2",
        "BINARY takes a part's number, BINARY.SIZE no partial",
        refused,
    ),
    Deviation("COMPRESS LZW", "tagged", "4978 §3", "a mechanism that there is not is BAD", refused),
    Deviation(
        "SELECT INBOX \\(NONSENSE\\)",
        r"CLOSED|FETCH 1|tagged",
        "9051 §6.3.2",
        "what is BAD has not been tried: the mailbox stays selected",
    ),
    Deviation(r"COPY 1 \"\"", "^code TRYCREATE", "9051 §6.4.7", "an empty name is that of a mailbox that is not there"),
    Deviation(r"^ID (\(name test\)|nonsense)", "^ID|tagged", "2971 §3.3", "ID is taken in any form, before login too"),
    Deviation(
        r"\(\\Recent\)",
        r"tagged|FETCH|EXISTS|^code",
        "9051 §2.3.2",
        "\\Recent cannot be set, and who says so is forgiven",
    ),
    Deviation(r"^FETCH \* UID", "tagged", "9051 §9", '"*" in an empty mailbox means no message: many clients ask so'),
    # Session.
    Deviation("^ENABLE CONDSTORE$", "tagged|ENABLED", "5161 §3.1", "ENABLE comes after login", refused),
    Deviation("^ENABLE", "ENABLED", "5161 §3.2", "ENABLED lists what this command has enabled, nothing included"),
    Deviation("^STARTTLS", "tagged", "9051 §6.2.1", "there is TLS: the Dovecot of the tests has none"),
    # FETCH.
    Deviation(
        "BODY|FULL|BINARY",
        r"^FETCH [34] (BODY|BODYSTRUCTURE|BODY\[[12]\]|BODY\[2\.TEXT\]|BINARY\[1\])$",
        "2046 §5.1.1",
        "the line end before a boundary is the boundary's, after a multipart's end too; no charset is invented",
        but_for_the_end,
    ),
    Deviation("FETCH", NO_PART, "9051 §7.5.2", "a part that there is not is NIL, not an empty string", not_there),
    Deviation(
        r"BINARY.PEEK\[\]",
        r"BINARY\[\]",
        "3516 §4.2",
        "BINARY[] is the message as it is: part numbers are decoded, the whole is not",
    ),
    Deviation(
        "ENVELOPE|ALL|FULL",
        r"FETCH 5 ENVELOPE",
        "5322 §2.2.3",
        "unfolding removes the line end and nothing else: the tab stays",
    ),
    Deviation(
        "PREVIEW",
        "PREVIEW",
        "8970 §3.1",
        "previews are made at delivery, so LAZY ones are there; quoted lines and attached messages give one, too",
    ),
    Deviation("FETCH 1:.* RFC822", r"FLAGS$", "9051 §6.4.5", "flags come with what may set \\Seen", only_we),
    Deviation(
        "ENABLE QRESYNC .* FETCH 4 BODY",
        "FETCH 4 UID",
        "7162 §3.2.4",
        "what was asked for by number is answered by number: the flags are part of the answer",
        only_they,
    ),
    Deviation(
        "no header at all",
        r"BODY\[(HEADER|TEXT)\]",
        "5322 §2.1",
        "what has no colon is no header field: the body begins there",
    ),
    # SEARCH, SORT.
    Deviation("SEARCH (SENT|NOT SENT)", "SEARCH", "9051 §6.4.4", "a message without a date was sent on none"),
    Deviation("SEARCH BODY holiday", "SEARCH", "9051 §6.4.4", "a message's body holds the headers of messages in it"),
    Deviation("CHARSET ISO-8859-1", "SEARCH|tagged", "9051 §6.4.4", "charsets are US-ASCII and UTF-8", refused),
    Deviation("grüsse", "SEARCH", "9051 §6.4.4", "without regard to case, ß is ss"),
    Deviation(
        r"NOT \(SEEN FLAGGED\)|OR NOT SEEN NOT DELETED|NOT MODSEQ",
        "SEARCH",
        "9051 §6.4.4",
        "not both is one of them not: Dovecot 2.3 takes the negation of a list, and of MODSEQ, for another thing",
    ),
    # STORE, updates.
    Deviation(
        UNHEARD,
        r"^FLAGS$|PERMANENTFLAGS",
        "9051 §7.3.5",
        "a keyword that was only asked for is not created, and so not announced",
        only_they,
    ),
    Deviation(
        "STORE",
        r"^FETCH \d (FLAGS|UID|MODSEQ)$",
        "9051 §6.4.6",
        "STORE answers with the flags of each message, changed or not",
        only_we,
    ),
    Deviation(
        "EXPUNGE → STORE 6",
        "FETCH 6 FLAGS",
        "2180 §4.2.1",
        "flags of a message that is gone are not told any more",
        only_they,
    ),
    Deviation(
        READ_ONLY + "|EXAMINE INBOX → STORE",
        r"tagged|READ-ONLY|EXPUNGE|COPYUID",
        "9051 §6.3.3",
        "a mailbox that was examined is not changed: NO [READ-ONLY]",
        refused,
    ),
    Deviation(
        "IDLE → 2:", "EXISTS|EXPUNGE", "2177 §3", "changes are pushed at once, where Dovecot waits for the next command"
    ),
    Deviation(
        r"CONDSTORE\) → (EXPUNGE|UID EXPUNGE)|QRESYNC .*(MOVE|NOOP)",
        "code HIGHESTMODSEQ|VANISHED EARLIER",
        "7162 §3.2.7",
        "EXPUNGE tells HIGHESTMODSEQ to who knows CONDSTORE; after other commands MODSEQ has told it",
    ),
    # Mailboxes.
    Deviation("LSUB", "^LSUB", "3501 §6.3.9", "LSUB tells \\Noselect of names without a mailbox, and no special uses"),
    Deviation(
        "(?i)list",
        r"^LIST (Trash|Sent|Junk|Drafts|Archive|INBOX|Work.*)$",
        "5258 §4",
        "children and special uses are told of with every LIST",
        more,
    ),
    Deviation(
        "CREATE Work/|Past/Deep|Work → DELETE|Work/2026 → (DELETE|RENAME|SELECT|LIST)",
        r"^LIST |tagged|STATUS Work|FLAGS|^OK |RECENT|READ-WRITE",
        "9051 §6.3.4",
        "CREATE makes the mailboxes above, too, and they can be selected",
    ),
    Deviation("CREATE INBOX|CREATE inbox", "tagged", "9051 §6.3.4", "INBOX is there: it cannot be created", refused),
    Deviation(
        r"CREATE \"(~|\.|a/\.)",
        "tagged",
        "9051 §5.1",
        "names are text, not paths: dots and ~ are letters like others",
    ),
    Deviation(
        "SELECT Work → (DELETE|RENAME)",
        r"BYE|tagged|CLOSED|EXISTS|APPENDUID",
        "9051 §7.1",
        "a selected mailbox that is deleted is [CLOSED], one that is renamed stays selected; nobody is thrown out",
    ),
    Deviation("GETQUOTAROOT Missing", "QUOTA|tagged", "9208 §4.1.2", "a mailbox that there is not has no quota root"),
    Deviation(
        "RENAME INBOX Old",
        "RECENT|FLAGS",
        "3501 §2.3.2",
        "messages that RENAME INBOX moves are new to the mailbox they come into",
    ),
    Deviation("RENAME Box INBOX", "tagged", "9051 §6.3.6", "INBOX is there: nothing can be renamed to it", refused),
    Deviation(
        "«0xc39c»",
        "tagged",
        "9051 §5.1",
        "names in UTF-8 are understood from everybody, though sent only to who has enabled them",
    ),
    Deviation("GETQUOTAROOT INBOX", "QUOTA", "9208 §4.1.2", "an account without a limit has a root without resources"),
    Deviation(
        'LIST "" "(i%x|[*]ox)"', "LIST INBOX", "9051 §6.3.9.5", "a pattern has to match INBOX in capitals", only_they
    ),
    Deviation("STATUS inbox", "STATUS", "9051 §5.1", "INBOX is named as it is"),
    Deviation(r"LIST \"Work\" \"/%\"", "LIST", "9051 §6.3.9", "reference and pattern are joined"),
)


def table() -> str:
    """As Markdown: each reason once."""
    rows = {(deviation.rfc, deviation.why): None for deviation in DEVIATIONS}
    lines = [f"| {rfc} | {why} |" for rfc, why in rows]
    return "\n".join(["| RFC | how our answer differs from Dovecot's, and why |", "|---|---|", *lines])


if __name__ == "__main__":
    print(table())
