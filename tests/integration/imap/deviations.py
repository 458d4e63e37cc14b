"""The accepted deviations from Dovecot's responses, each with its RFC; any other difference fails a test.

`python -m tests.integration.imap.deviations` prints them as a Markdown table.
"""

from tests.integration.imap.deviation import (
    Deviation,
    missing_part,
    only_ours,
    only_theirs,
    refused,
    superset,
    without_last_line_end,
)

EXTRA = r"^(CAPABILITY|LOGOUT|CHECK|CLOSE|NOOP|NAMESPACE|EXPUNGE) (x|6)$| extra$|CREATE a b"
EMPTY = r"STORE 1 FLAGS$"
BAD_VALUE = r"32-J|25:30|31-Feb|KEYWORD \\Seen|\[0\]|\[1\.0\]|a[%*\]]b"
ANSWER = r"tagged|^code|FETCH|SEARCH|EXISTS|EXPUNGE|^OK |RECENT|FLAGS|BYE|ID|CAPABILITY|NAMESPACE|ENABLED|STATUS|LIST"
READ_ONLY = r"EXAMINE INBOX → (EXPUNGE|UID EXPUNGE|STORE|MOVE)"
UNUSED_KEYWORD = r"unheardof"
NO_PART = r"^FETCH \d (BODY|BINARY)\[[\d.]+(HEADER|TEXT)?\]"

DEVIATIONS: tuple[Deviation, ...] = (
    # Data that only our server sends.
    Deviation("", r"MAILBOXID", "8474 §4.2", "OBJECTID: SELECT and CREATE return the mailbox's id", only_ours),
    Deviation(
        "",
        r"^OK HIGHESTMODSEQ",
        "7162 §3.1.2.1",
        "HIGHESTMODSEQ is sent with every SELECT, whether CONDSTORE is enabled or not, and not repeated when it is",
    ),
    Deviation(
        'Missing|GETQUOTA|""|SELECT Work|RENAME',
        r"^code NONEXISTENT",
        "5530 §3",
        "a missing mailbox or root is [NONEXISTENT]",
    ),
    Deviation("CREATE|RENAME", r"^code ALREADYEXISTS", "5530 §3", "an existing mailbox is [ALREADYEXISTS]"),
    Deviation(
        'CREATE|DELETE|RENAME|COPY 1 ""|SELECT ""|AUTHENTICATE NONSENSE',
        r"^code (CANNOT|ALERT)",
        "5530 §3",
        "an impossible operation is [CANNOT], unless a more specific code exists; ALERT is for users",
    ),
    Deviation(
        "CREATE Work → CREATE Work/2026 → DELETE Work → DELETE Work",
        r"^code HASCHILDREN",
        "9051 §6.3.5",
        "a name without a mailbox that has children cannot be deleted: [HASCHILDREN]",
    ),
    Deviation("SEARCH|SORT|THREAD", r"^code BADCHARSET", "9051 §7.1", "BADCHARSET lists the supported charsets"),
    Deviation(
        "STATUS", r"^code CLIENTBUG", "9051 §6.3.11", "STATUS of the selected mailbox is answered without [CLIENTBUG]"
    ),
    Deviation(
        "AUTHENTICATE PLAIN =",
        r"tagged|^code",
        "9051 §6.2.2",
        "a malformed message of the mechanism is BAD, like invalid base64",
    ),
    # Syntax.
    Deviation(EXTRA, ANSWER, "9051 §9", "extra arguments are BAD", refused),
    Deviation(EMPTY, ANSWER, "9051 §9", "an empty list is BAD where the grammar requires elements", refused),
    Deviation(
        BAD_VALUE,
        ANSWER,
        "9051 §9",
        "invalid dates, number 0, flags and quoted characters outside of the grammar are BAD",
        refused,
    ),
    Deviation(r"SELECT \{5\}x", r"^\+$", "9051 §4.3", "a literal announcement ends its line"),
    Deviation(
        r"\{9{20}\}",
        r"tagged|BYE",
        "7888 §4",
        "a literal beyond 2^63 octets is refused, and the connection stays open",
        refused,
    ),
    Deviation(
        r"BINARY\[(HEADER|1\.MIME)\]|BINARY\.SIZE\[2\]<",
        r"tagged|FETCH 3",
        "3516 §4.2",
        "BINARY takes only a part number, BINARY.SIZE no partial",
        refused,
    ),
    Deviation("COMPRESS LZW", "tagged", "4978 §3", "an unknown compression mechanism is BAD", refused),
    Deviation(
        "SELECT INBOX \\(NONSENSE\\)",
        r"CLOSED|FETCH 1|tagged",
        "9051 §6.3.2",
        "a BAD command is not executed: the mailbox stays selected",
    ),
    Deviation(r"COPY 1 \"\"", "^code TRYCREATE", "9051 §6.4.7", "an empty name is a missing mailbox"),
    Deviation(
        r"^ID (\(name test\)|nonsense)", "^ID|tagged", "2971 §3.3", "ID is accepted in any form, also before login"
    ),
    Deviation(
        r"\(\\Recent\)",
        r"tagged|FETCH|EXISTS|^code",
        "9051 §2.3.2",
        "\\Recent in STORE and APPEND is ignored",
    ),
    Deviation(
        r"^FETCH \* UID",
        "tagged",
        "9051 §9",
        '"*" in an empty mailbox matches no message, because many clients send it',
    ),
    # Session.
    Deviation("^ENABLE CONDSTORE$", "tagged|ENABLED", "5161 §3.1", "ENABLE is allowed only after login", refused),
    Deviation("^ENABLE", "ENABLED", "5161 §3.2", "ENABLED lists what this command has enabled, even if nothing"),
    Deviation("^STARTTLS", "tagged", "9051 §6.2.1", "our server has TLS; the Dovecot of the tests has none"),
    # FETCH.
    Deviation(
        "BODY|FULL|BINARY",
        r"^FETCH [34] (BODY|BODYSTRUCTURE|BODY\[[12]\]|BODY\[2\.TEXT\]|BINARY\[1\])$",
        "2046 §5.1.1",
        "the line end before a boundary belongs to the boundary, also after a multipart's end; no charset is added",
        without_last_line_end,
    ),
    Deviation("FETCH", NO_PART, "9051 §7.5.2", "a missing part is NIL, not an empty string", missing_part),
    Deviation(
        r"BINARY.PEEK\[\]",
        r"BINARY\[\]",
        "3516 §4.2",
        "BINARY[] is the unchanged message: parts are decoded, the whole message is not",
    ),
    Deviation(
        "ENVELOPE|ALL|FULL",
        r"FETCH 5 ENVELOPE",
        "5322 §2.2.3",
        "unfolding removes only the line end: the tab stays",
    ),
    Deviation(
        "PREVIEW",
        "PREVIEW",
        "8970 §3.1",
        "previews are generated at delivery, so LAZY has no effect; quoted lines and attached messages are included",
    ),
    Deviation("FETCH 1:.* RFC822", r"FLAGS$", "9051 §6.4.5", "FETCH that may set \\Seen includes FLAGS", only_ours),
    Deviation(
        "ENABLE QRESYNC .* FETCH 4 BODY",
        "FETCH 4 UID",
        "7162 §3.2.4",
        "a FETCH by number is answered by number: the flags are part of its response, not an update",
        only_theirs,
    ),
    Deviation(
        "no header at all",
        r"BODY\[(HEADER|TEXT)\]",
        "5322 §2.1",
        "a line without a colon is not a header field: the body begins there",
    ),
    # SEARCH, SORT.
    Deviation("SEARCH (SENT|NOT SENT)", "SEARCH", "9051 §6.4.4", "a message without a date matches no SENT key"),
    Deviation(
        "SEARCH BODY holiday", "SEARCH", "9051 §6.4.4", "a message's body includes the headers of attached messages"
    ),
    Deviation(
        "CHARSET ISO-8859-1", "SEARCH|tagged", "9051 §6.4.4", "the supported charsets are US-ASCII and UTF-8", refused
    ),
    Deviation("grüsse", "SEARCH", "9051 §6.4.4", "case folding maps ß to ss"),
    Deviation(
        r"NOT \(SEEN FLAGGED\)|OR NOT SEEN NOT DELETED|NOT MODSEQ",
        "SEARCH",
        "9051 §6.4.4",
        "NOT (a b) is OR NOT a NOT b: Dovecot 2.3 interprets the negation of a list, and of MODSEQ, differently",
    ),
    # STORE, updates.
    Deviation(
        UNUSED_KEYWORD,
        r"^FLAGS$|PERMANENTFLAGS",
        "9051 §7.3.5",
        "searching for a keyword does not create it, so it is not announced",
        only_theirs,
    ),
    Deviation(
        "STORE",
        r"^FETCH \d (FLAGS|UID|MODSEQ)$",
        "9051 §6.4.6",
        "STORE returns the flags of each message, changed or not",
        only_ours,
    ),
    Deviation(
        "EXPUNGE → STORE 6",
        "FETCH 6 FLAGS",
        "2180 §4.2.1",
        "flags of an expunged message are not sent",
        only_theirs,
    ),
    Deviation(
        READ_ONLY + "|EXAMINE INBOX → STORE",
        r"tagged|READ-ONLY|EXPUNGE|COPYUID",
        "9051 §6.3.3",
        "changes of an examined mailbox are NO [READ-ONLY]",
        refused,
    ),
    Deviation(
        "IDLE → 2:", "EXISTS|EXPUNGE", "2177 §3", "changes are pushed immediately; Dovecot waits for the next command"
    ),
    Deviation(
        r"CONDSTORE\) → (EXPUNGE|UID EXPUNGE)|QRESYNC .*(MOVE|NOOP)",
        "code HIGHESTMODSEQ|VANISHED EARLIER",
        "7162 §3.2.7",
        "EXPUNGE returns HIGHESTMODSEQ if CONDSTORE is enabled; after other commands MODSEQ suffices",
    ),
    # Mailboxes.
    Deviation(
        "LSUB", "^LSUB", "3501 §6.3.9", "LSUB returns \\Noselect for names without a mailbox, and no special uses"
    ),
    Deviation(
        "(?i)list",
        r"^LIST (Trash|Sent|Junk|Drafts|Archive|INBOX|Work.*)$",
        "5258 §4",
        "every LIST returns children and special uses",
        superset,
    ),
    Deviation(
        "CREATE Work/|Past/Deep|Work → DELETE|Work/2026 → (DELETE|RENAME|SELECT|LIST)",
        r"^LIST |tagged|STATUS Work|FLAGS|^OK |RECENT|READ-WRITE",
        "9051 §6.3.4",
        "CREATE also creates the parents, and they can be selected",
    ),
    Deviation("CREATE INBOX|CREATE inbox", "tagged", "9051 §6.3.4", "INBOX exists: it cannot be created", refused),
    Deviation(
        r"CREATE \"(~|\.|a/\.)",
        "tagged",
        "9051 §5.1",
        "names are text, not paths: dots and ~ are ordinary characters",
    ),
    Deviation(
        "SELECT Work → (DELETE|RENAME)",
        r"BYE|tagged|CLOSED|EXISTS|APPENDUID",
        "9051 §7.1",
        "a selected mailbox that is deleted is [CLOSED], a renamed one stays selected; no session is disconnected",
    ),
    Deviation("GETQUOTAROOT Missing", "QUOTA|tagged", "9208 §4.1.2", "a missing mailbox has no quota root"),
    Deviation(
        "RENAME INBOX Old",
        "RECENT|FLAGS",
        "3501 §2.3.2",
        "messages that RENAME INBOX moves are \\Recent in the new mailbox",
    ),
    Deviation("RENAME Box INBOX", "tagged", "9051 §6.3.6", "INBOX exists: nothing can be renamed to it", refused),
    Deviation(
        "«0xc39c»",
        "tagged",
        "9051 §5.1",
        "names in UTF-8 are accepted from all clients, but sent only if UTF8=ACCEPT is enabled",
    ),
    Deviation(
        "GETQUOTAROOT INBOX", "QUOTA", "9208 §4.1.2", "an account without a limit has a quota root without resources"
    ),
    Deviation(
        'LIST "" "(i%x|[*]ox)"', "LIST INBOX", "9051 §6.3.9.5", "a pattern has to match INBOX in capitals", only_theirs
    ),
    Deviation("STATUS inbox", "STATUS", "9051 §5.1", "INBOX is returned in capitals"),
    Deviation(r"LIST \"Work\" \"/%\"", "LIST", "9051 §6.3.9", "reference and pattern are concatenated"),
)


def table() -> str:
    """The reasons as a Markdown table, without duplicates."""
    rows = {(deviation.rfc, deviation.reason): None for deviation in DEVIATIONS}
    lines = [f"| {rfc} | {reason} |" for rfc, reason in rows]
    return "\n".join(["| RFC | how our answer differs from Dovecot's, and why |", "|---|---|", *lines])


if __name__ == "__main__":
    print(table())
