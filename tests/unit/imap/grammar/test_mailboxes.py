"""Commands on mailboxes: the RFCs' examples and malformed input."""

import pytest

from relate_imap.commands import (
    Command,
    Create,
    List,
    MailboxCommand,
    QresyncParameter,
    Rename,
    Select,
    SetQuota,
    Status,
)
from relate_mailstore.types import ModSeq
from tests.unit.imap.parse_helpers import assert_invalid, parse_command, sequence_set, with_crlf

ALL_ITEMS = (
    *("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ"),
    *("APPENDLIMIT", "MAILBOXID", "DELETED-STORAGE"),
)
SUBSCRIBED = frozenset({"SUBSCRIBED"})

# RFC 7162 §3.2.5.2
LONG_RESYNC = (
    "B04 SELECT INBOX (QRESYNC (67890007 90060115205545359 1:29997"
    " (5000,7500,9000,9990:9999 15000,22500,27000,29970,29973,29976,29979,29982,29985,29988)))"
)

MAILBOXES: list[tuple[str, Command]] = [
    ("A142 SELECT INBOX", Select("A142", "SELECT", "INBOX")),
    ("A932 EXAMINE blurdybloop", Select("A932", "EXAMINE", "blurdybloop")),
    ("a SELECT inbox (CONDSTORE)", Select("a", "SELECT", "INBOX", condstore=True)),
    (
        "A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
        Select(
            "A02",
            "SELECT",
            "INBOX",
            qresync=QresyncParameter(67890007, ModSeq(20050715194045000), sequence_set(41, (43, 211), (214, 541))),
        ),
    ),
    (
        "B04 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))",
        Select(
            "B04",
            "SELECT",
            "INBOX",
            qresync=QresyncParameter(67890007, ModSeq(90060115194045000), sequence_set((41, 211), (214, 541))),
        ),
    ),
    (
        LONG_RESYNC,
        Select(
            "B04",
            "SELECT",
            "INBOX",
            qresync=QresyncParameter(
                67890007,
                ModSeq(90060115205545359),
                sequence_set((1, 29997)),
                (
                    sequence_set(5000, 7500, 9000, (9990, 9999)),
                    sequence_set(15000, 22500, 27000, 29970, 29973, 29976, 29979, 29982, 29985, 29988),
                ),
            ),
        ),
    ),
    (
        "a SELECT x (CONDSTORE QRESYNC (1 2 (1 2)))",
        Select(
            "a",
            "SELECT",
            "x",
            condstore=True,
            qresync=QresyncParameter(1, ModSeq(2), None, (sequence_set(1), sequence_set(2))),
        ),
    ),
    ("a EXAMINE x (QRESYNC (1 2))", Select("a", "EXAMINE", "x", qresync=QresyncParameter(1, ModSeq(2)))),
    ("A003 CREATE owatagusiam/", Create("A003", "owatagusiam/")),
    ("A004 CREATE owatagusiam/blurdybloop", Create("A004", "owatagusiam/blurdybloop")),
    ("t2 CREATE MyDrafts (USE (\\Drafts))", Create("t2", "MyDrafts", ("\\Drafts",))),
    ("t1 create All (use (\\All \\Junk))", Create("t1", "All", ("\\All", "\\Junk"))),
    ("t1 CREATE x (USE ())", Create("t1", "x")),
    ("A683 DELETE blurdybloop", MailboxCommand("A683", "DELETE", "blurdybloop")),
    ("A683 RENAME blurdybloop sarasoon", Rename("A683", "blurdybloop", "sarasoon")),
    ('Z432 RENAME INBOX "old mail"', Rename("Z432", "INBOX", "old mail")),
    ("A002 SUBSCRIBE #news.comp.mail.mime", MailboxCommand("A002", "SUBSCRIBE", "#news.comp.mail.mime")),
    ("A002 UNSUBSCRIBE {5}\na&AOk", MailboxCommand("A002", "UNSUBSCRIBE", "a&AOk")),
    ('G0001 GETQUOTA "!partition/sda4"', MailboxCommand("G0001", "GETQUOTA", "!partition/sda4")),
    ('a GETQUOTA ""', MailboxCommand("a", "GETQUOTA", "")),
    ("a GETQUOTA inbox", MailboxCommand("a", "GETQUOTA", "inbox")),
    ("G0002 GETQUOTAROOT inbox", MailboxCommand("G0002", "GETQUOTAROOT", "INBOX")),
    ('S0001 SETQUOTA "" (STORAGE 512)', SetQuota("S0001", "")),
    ('S0001 SETQUOTA "#user/alice" (STORAGE 512 MESSAGE 5)', SetQuota("S0001", "#user/alice")),
    ("a SETQUOTA x ()", SetQuota("a", "x")),
    ('A682 LIST "" *', List("A682", "LIST", "", ("*",))),
    ('A101 LIST "" ""', List("A101", "LIST", "", ("",))),
    ('A102 LIST #news.comp.mail.misc ""', List("A102", "LIST", "#news.comp.mail.misc", ("",))),
    ("A202 LIST ~/Mail/ %", List("A202", "LIST", "~/Mail/", ("%",))),
    (
        'A01 LIST "" "*" RETURN (SUBSCRIBED CHILDREN)',
        List("A01", "LIST", "", ("*",), returning=frozenset({"SUBSCRIBED", "CHILDREN"}), extended=True),
    ),
    ('A02 LIST (SUBSCRIBED) "" "*"', List("A02", "LIST", "", ("*",), SUBSCRIBED, extended=True)),
    (
        'A03 LIST () "" "%" RETURN (CHILDREN)',
        List("A03", "LIST", "", ("%",), returning=frozenset({"CHILDREN"}), extended=True),
    ),
    ('A04 LIST (REMOTE) "" "%" RETURN ()', List("A04", "LIST", "", ("%",), frozenset({"REMOTE"}), extended=True)),
    (
        'A08 LIST (SUBSCRIBED REMOTE) "" "%"',
        List("A08", "LIST", "", ("%",), frozenset({"REMOTE", "SUBSCRIBED"}), extended=True),
    ),
    ('BBB LIST "" ("INBOX" "Drafts" "Sent/%")', List("BBB", "LIST", "", ("INBOX", "Drafts", "Sent/%"), extended=True)),
    (
        'C02 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
        List("C02", "LIST", "", ("%",), frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}), extended=True),
    ),
    (
        't1 LIST (SPECIAL-USE) "" "%" RETURN (SPECIAL-USE)',
        List("t1", "LIST", "", ("%",), frozenset({"SPECIAL-USE"}), frozenset({"SPECIAL-USE"}), extended=True),
    ),
    (
        'A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))',
        List("A01", "LIST", "", ("%",), status=("MESSAGES", "UNSEEN"), extended=True),
    ),
    (
        'A02 list (Subscribed) "" % return (Status (messages) subscribed)',
        List("A02", "LIST", "", ("%",), SUBSCRIBED, SUBSCRIBED, ("MESSAGES",), extended=True),
    ),
    ('A002 LSUB "#news." "comp.mail.*"', List("A002", "LSUB", "#news.", ("comp.mail.*",))),
    ("A042 STATUS blurdybloop (UIDNEXT MESSAGES)", Status("A042", "blurdybloop", ("UIDNEXT", "MESSAGES"))),
    (f"a STATUS inbox ({' '.join(ALL_ITEMS)} messages)", Status("a", "INBOX", ALL_ITEMS)),
]


@pytest.mark.parametrize(("line", "command"), MAILBOXES)
def test_mailbox_commands(line: str, command: Command) -> None:
    assert parse_command(with_crlf(line)) == command


NO_MAILBOXES = """
SELECT
SELECT a b
SELECT (a)
SELECT a (X)
SELECT a (CONDSTORE
SELECT a (CONDSTORE CONDSTORE)
SELECT a (QRESYNC (1 2) QRESYNC (1 3))
SELECT a (QRESYNC)
SELECT a (QRESYNC (1))
SELECT a (QRESYNC (1 2 3:*))
SELECT a (QRESYNC (1 2 $))
SELECT a (QRESYNC (1 2 1(1 2)))
SELECT a (QRESYNC (1 2 (1)))
SELECT a (QRESYNC (1 2 (1 *)))
SELECT a (QRESYNC (1 2 (1 2) 3))
SELECT a (QRESYNC (1 9223372036854775808))
CREATE a ()
CREATE a (USE)
CREATE a (USE (Sent))
CREATE a (USE (\\Sent) USE (\\Junk))
CREATE a (X (\\Sent))
RENAME a
RENAME a b c
DELETE "a
DELETE a"b"
SETQUOTA a
SETQUOTA a (STORAGE)
SETQUOTA a (STORAGE x)
SETQUOTA a (512)
LIST ""
LIST "" * x
LIST (X) "" *
LIST () *
LIST "" (a
LIST "" * RETURN
LIST "" * RETURN (X)
LIST "" * RETURN (STATUS)
LIST "" * RETURN (STATUS ())
LIST "" * RETURN (STATUS (X))
LIST "" * RETURN (SUBSCRIBED
LSUB "" (a b)
LSUB (SUBSCRIBED) "" *
LSUB "" * RETURN ()
STATUS a
STATUS a ()
STATUS a MESSAGES
STATUS a (X)
""".strip().splitlines()


@pytest.mark.parametrize("line", NO_MAILBOXES)
def test_malformed_mailbox_commands(line: str) -> None:
    assert_invalid(line)


@pytest.mark.parametrize(("utf8", "name"), [(False, "é"), (True, "&AOk-")])
def test_enabled_extensions_select_name_encoding(utf8: bool, name: str) -> None:
    assert parse_command(b"a DELETE &AOk-\r\n", utf8=utf8) == MailboxCommand("a", "DELETE", name)
    assert parse_command('a DELETE "é"\r\n'.encode(), utf8=utf8) == MailboxCommand("a", "DELETE", "é")
    assert parse_command(b'a LIST &AOk- "&AOk-%"\r\n', utf8=utf8) == List("a", "LIST", name, (name + "%",))
