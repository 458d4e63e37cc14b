"""Popular programs and libraries synchronise a thousand messages, make changes on both sides, and reach the server's
state. A client that is not installed is skipped.
"""

import imaplib
import os
import pty
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

import pytest
from imapclient import IMAPClient

from tests.integration.imap.remote import Remote, State, message
from tests.integration.product.accounts import Account
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("imap-clients")

MAILBOX_MESSAGES = 1_000
SMALL_MAILBOX_MESSAGES = 50  # for a client that starts a process per message
TIMEOUT_SECONDS = 100.0  # many programs run at the same time on a small machine

CHANGES = (
    "SELECT INBOX",
    r"STORE 1:10 +FLAGS.SILENT (\Seen)",
    r"STORE 11:20 +FLAGS.SILENT (\Flagged \Answered)",
    "MOVE 21:30 Archive",
    r"STORE 31:35 +FLAGS.SILENT (\Deleted)",
    "CLOSE",
)
"""Changes by another client between two synchronisations. Afterwards INBOX begins with numbers 1:20,36:*."""


@pytest.fixture
def remote(product: Product, alice: Account) -> Remote:
    """A new account."""
    return Remote(product.ports["Imap__Port"], *alice)


def run(program: str, *arguments: str, home: Path, user: str | None = None) -> str:
    """Run a program; asserts success, returns its output. `user` is another user to run it as."""
    done = subprocess.run(
        [find_program(program), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        **(_run_as(user) if user and os.geteuid() == 0 else {}),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        cwd=home,
        check=False,
    )
    output: str = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, output
    return output


def _run_as(user: str) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def find_program(program: str) -> str:
    """The program's path; skips the test if it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


# --- clients that keep a local copy


LETTERS = {"S": "\\seen", "F": "\\flagged", "R": "\\answered", "D": "\\draft", "T": "\\deleted"}


def local_state(maildirs: Path) -> State:
    """The state of a tree of Maildirs; file names without \\",S=12\\"."""
    return {
        str(folder.parent.relative_to(maildirs)): dict(
            _described(path) for path in [*folder.iterdir(), *(folder.parent / "new").iterdir()]
        )
        for folder in sorted(maildirs.rglob("cur"))
    }


def _described(path: Path) -> tuple[str, frozenset[str]]:
    subject = next(line for line in path.read_text().splitlines() if line.startswith("Subject: "))
    letters = path.name.partition(":2,")[2]
    return subject.removeprefix("Subject: "), frozenset(LETTERS[letter] for letter in letters if letter in LETTERS)


def change_locally(maildirs: Path) -> None:
    """Read one message, delete one, flag one, add one."""
    paths = {
        _described(path)[0]: path for path in [*(maildirs / "INBOX/cur").iterdir(), *(maildirs / "INBOX/new").iterdir()]
    }
    _set_flags(paths["Number 900"], "S")
    paths["Number 901"].unlink()
    _set_flags(paths["Number 902"], "FS")
    (maildirs / "Sent/new/1.local").write_bytes(message("Written here").replace(b"\r\n", b"\n"))


def _set_flags(path: Path, letters: str) -> None:
    path.rename(path.parent.parent / "cur" / f"{path.name.partition(':2,')[0]}:2,{letters}")


@pytest.mark.parametrize("program", ["mbsync", "offlineimap"])
def test_mail_synchronisers_converge_with_server(remote: Remote, tmp_path: Path, program: str) -> None:
    arguments = configure(program, remote, tmp_path)
    remote.fill(MAILBOX_MESSAGES)
    run(program, *arguments, home=tmp_path)
    assert local_state(tmp_path / "mail") == remote.state()
    remote.execute(*CHANGES)
    remote.append("Archive", [message("From elsewhere")])
    change_locally(tmp_path / "mail")
    run(program, *arguments, home=tmp_path)
    state = remote.state()
    assert local_state(tmp_path / "mail") == state
    assert (len(state["INBOX"]), len(state["Archive"]), list(state["Sent"])) == (
        MAILBOX_MESSAGES - 16,
        11,
        ["Written here"],
    )
    assert state["INBOX"]["Number 900"] == {"\\seen"}
    assert state["INBOX"]["Number 902"] == {"\\seen", "\\flagged"}
    assert "Number 901" not in state["INBOX"]
    run(program, *arguments, home=tmp_path)
    assert (local_state(tmp_path / "mail"), remote.state()) == (state, state)


def configure(program: str, remote: Remote, home: Path) -> list[str]:
    """Write the program's configuration; returns its arguments."""
    find_program(program)
    (home / "mail").mkdir()
    settings = home / "settings"
    template = {"mbsync": MBSYNC, "offlineimap": OFFLINEIMAP}[program]
    settings.write_text(template.format(home=home, port=remote.port, address=remote.address, key=remote.key))
    settings.chmod(0o600)
    return {"mbsync": ["-c", str(settings), "-a"], "offlineimap": ["-o", "-u", "basic", "-c", str(settings)]}[program]


MBSYNC = """\
IMAPAccount relate
Host 127.0.0.1
Port {port}
User {address}
Pass {key}
SSLType None
AuthMechs PLAIN LOGIN

IMAPStore remote
Account relate

MaildirStore local
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
"""

OFFLINEIMAP = """\
[general]
accounts = relate
metadata = {home}/state
[Account relate]
localrepository = local
remoterepository = remote
[Repository local]
type = Maildir
localfolders = {home}/mail
sep = /
[Repository remote]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = {address}
remotepass = {key}
ssl = no
starttls = no
auth_mechanisms = PLAIN
"""


# --- clients that download and delete


def test_fetchmail_downloads_all_messages(remote: Remote, tmp_path: Path) -> None:
    remote.fill(MAILBOX_MESSAGES)
    settings = tmp_path / "fetchmailrc"
    settings.touch(mode=0o600)
    server = f"poll 127.0.0.1 protocol IMAP port {remote.port}"
    user = f"user '{remote.address}' password '{remote.key}' sslproto '' fetchall bsmtp '{tmp_path}/mail'"
    settings.write_text(f"{server}\n{user}\n")
    once = ["--nodetach", "--nosyslog", "--pidfile", str(tmp_path / "fetchmail.pid")]
    run("fetchmail", *once, "--fetchmailrc", str(settings), home=tmp_path)
    taken = re.findall(r"^Subject: (.*?)\r?$", (tmp_path / "mail").read_text(), re.MULTILINE)
    assert taken == [f"Number {number}" for number in range(1, MAILBOX_MESSAGES + 1)]
    assert remote.state()["INBOX"] == {}


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of an unprivileged user, for a client that refuses to run as root."""
    with TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            shutil.chown(directory, "nobody")
        yield Path(directory)


# getmail forks for each message, and handles SIGCHLD only afterwards (getmailcore.baseclasses.ForkingBase): if the
# child was faster, it waits a minute. So it is patched to wait with waitpid.
GETMAIL = """\
import os, runpy, sys
from getmailcore.baseclasses import ForkingBase
ForkingBase._prepare_child = lambda self: None
ForkingBase._wait_for_child = lambda self, child: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_getmail_downloads_all_messages(remote: Remote, home: Path) -> None:
    remote.fill(SMALL_MAILBOX_MESSAGES)
    login = f"server = 127.0.0.1\nport = {remote.port}\nusername = {remote.address}\npassword = {remote.key}"
    (home / "getmailrc").write_text(
        f'[retriever]\ntype = SimpleIMAPRetriever\n{login}\nmailboxes = ("INBOX",)\n'
        f"[destination]\ntype = Maildir\npath = {home}/mail/\n[options]\ndelete = true\nverbose = 0\n"
    )
    for name in ("mail/cur", "mail/new", "mail/tmp"):
        (home / name).mkdir(parents=True)
    for path in (home / "mail", *(home / "mail").iterdir()):
        path.chmod(0o777)
    options = ("--getmaildir", str(home), "--rcfile", f"{home}/getmailrc")
    run("/usr/bin/python3", "-c", GETMAIL, find_program("getmail"), *options, home=home, user=home.owner())
    assert local_state(home)["mail"].keys() == {f"Number {number}" for number in range(1, SMALL_MAILBOX_MESSAGES + 1)}
    assert remote.state()["INBOX"] == {}


# --- interactive clients


def test_curl_reads_searches_flags_and_stores(remote: Remote, tmp_path: Path) -> None:
    remote.fill(MAILBOX_MESSAGES)
    assert "INBOX" in curl(remote, "", home=tmp_path)
    assert "Subject: Number 7\n" in curl(remote, "INBOX;MAILINDEX=7", home=tmp_path).replace("\r\n", "\n")
    assert "Subject: Number 8" in curl(remote, "INBOX;UID=8;SECTION=HEADER.FIELDS%20(SUBJECT)", home=tmp_path)
    assert curl(remote, "INBOX?SUBJECT%20%22Number%20999%22", home=tmp_path).split() == ["*", "SEARCH", "999"]
    curl(remote, "INBOX", "--request", r"STORE 9 +FLAGS \Flagged", home=tmp_path)
    curl(remote, "INBOX", "--request", "MOVE 10 Archive", home=tmp_path)
    (tmp_path / "new").write_bytes(message("By curl"))
    curl(remote, "Drafts", "--upload-file", str(tmp_path / "new"), home=tmp_path)
    state = remote.state()
    assert state["INBOX"]["Number 9"] == {"\\flagged"}
    assert (list(state["Archive"]), list(state["Drafts"])) == (["Number 10"], ["By curl"])
    assert len(state["INBOX"]) == MAILBOX_MESSAGES - 1


def curl(remote: Remote, path: str, *options: str, home: Path) -> str:
    url = f"imap://127.0.0.1:{remote.port}/{path}"
    return run("curl", "-sS", "--user", f"{remote.address}:{remote.key}", *options, url, home=home)


def test_mutt_files_flags_and_deletes(remote: Remote, tmp_path: Path) -> None:
    remote.fill(MAILBOX_MESSAGES)
    (tmp_path / "muttrc").write_text(
        f'set imap_user="{remote.address}"\nset imap_pass="{remote.key}"\nset folder="imap://127.0.0.1:{remote.port}/"\n'
        'set spoolfile="+INBOX"\nset ssl_starttls=no\nset ssl_force_tls=no\n'
        "set confirmappend=no\nset delete=yes\nset move=no\nset quit=yes\nset wait_key=no\nset sort=mailbox-order\n"
    )
    keys = "".join(
        (
            '<tag-pattern>~s "Number 9$"<enter><tag-prefix><save-message>+Archive<enter>',
            '<untag-pattern>.<enter><search>~s "Number 8$"<enter><flag-message>',
            '<search>~s "Number 7$"<enter><delete-message>',
            "<sync-mailbox><quit>",
        )
    )
    in_terminal("mutt", "-F", str(tmp_path / "muttrc"), "-e", f"push '{keys}'", home=tmp_path)
    state = remote.state()
    assert list(state["Archive"]) == ["Number 9"]
    assert "\\flagged" in state["INBOX"]["Number 8"]
    assert state["INBOX"].keys() == {f"Number {n}" for n in range(1, MAILBOX_MESSAGES + 1)} - {"Number 7", "Number 9"}


def in_terminal(program: str, *arguments: str, home: Path) -> None:
    """Run a full-screen terminal program until it exits."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        [find_program(program), *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, cwd=home
    )
    os.close(theirs)
    patience = Timer(TIMEOUT_SECONDS, process.kill)
    patience.start()
    try:
        output = b"".join(_read_terminal(ours))
        assert process.wait(TIMEOUT_SECONDS) == 0, output[-2000:]
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        os.close(ours)


def _read_terminal(terminal: int) -> Iterator[bytes]:
    try:
        while octets := os.read(terminal, 65_536):
            yield octets
    except OSError:  # the other end was closed
        return


# --- libraries


def test_imaplib_round_trip(remote: Remote) -> None:
    remote.fill(MAILBOX_MESSAGES)
    with imaplib.IMAP4("127.0.0.1", remote.port, timeout=TIMEOUT_SECONDS) as client:
        client.login(remote.address, remote.key)
        assert client.select()[1] == [b"%d" % MAILBOX_MESSAGES]
        assert len(imaplib_flags(client)) == MAILBOX_MESSAGES
        assert client.store("1:10", "+FLAGS", r"(\Seen)")[0] == "OK"
        assert client.copy("11:12", "Archive")[0] == "OK"
        assert client.uid("MOVE", "13:14", "Archive")[0] == "OK"
        assert client.append("INBOX", r"(\Flagged)", imaplib.Time2Internaldate(0), message("By imaplib"))[0] == "OK"
        assert client.store("15:16", "+FLAGS", r"(\Deleted)")[0] == "OK"
        client.response("EXPUNGE")  # imaplib keeps the responses of MOVE until they are read
        assert len(client.expunge()[1]) == 2
        known = imaplib_flags(client)
        assert client.select()[1] == [b"%d" % (MAILBOX_MESSAGES - 3)]
        assert imaplib_flags(client) == known
        assert client.search(None, "FLAGGED")[1] == [b"%d" % (MAILBOX_MESSAGES - 3)]
        assert client.close()[0] == "OK"
    state = remote.state()
    assert (len(state["INBOX"]), len(state["Archive"])) == (MAILBOX_MESSAGES - 3, 4)
    assert sum("\\seen" in flags for flags in state["INBOX"].values()) == 10


def imaplib_flags(client: imaplib.IMAP4) -> dict[bytes, frozenset[bytes]]:
    status, rows = client.uid("FETCH", "1:*", "(UID FLAGS)")
    assert status == "OK"
    found = [re.search(rb"UID (\d+)", row) for row in rows]
    return {
        match[1]: frozenset(imaplib.ParseFlags(row)) - {rb"\Recent"}
        for match, row in zip(found, rows, strict=True)
        if match
    }


def test_imapclient_round_trip(remote: Remote) -> None:
    remote.fill(MAILBOX_MESSAGES)
    with IMAPClient("127.0.0.1", remote.port, ssl=False, timeout=TIMEOUT_SECONDS) as client:
        client.login(remote.address, remote.key)
        assert {name for _, _, name in client.list_folders()} >= {"INBOX", "Archive", "Trash"}
        assert client.select_folder("INBOX")[b"EXISTS"] == MAILBOX_MESSAGES
        uids = client.search()
        fetched = client.fetch(uids, ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "FLAGS"])
        assert {fetched[uid][b"ENVELOPE"].subject for uid in uids} == {
            b"Number %d" % n for n in range(1, MAILBOX_MESSAGES + 1)
        }
        assert len(client.fetch(uids, ["BODY.PEEK[]"])) == MAILBOX_MESSAGES
        client.add_flags(uids[:10], [rb"\Seen"])
        client.move(uids[10:12], "Archive")
        client.copy(uids[12:14], "Archive")
        client.create_folder("Projekte/Übersicht")
        client.append("Projekte/Übersicht", message("By imapclient"), flags=[rb"\Seen"])
        client.delete_messages(uids[14:16])
        client.expunge(uids[14:16])
        known = client.get_flags(client.search())
        assert client.select_folder("INBOX")[b"EXISTS"] == MAILBOX_MESSAGES - 4
        assert {uid: set(flags) - {rb"\Recent"} for uid, flags in client.get_flags(client.search()).items()} == {
            uid: set(flags) - {rb"\Recent"} for uid, flags in known.items()
        }
        assert client.folder_status("Projekte/Übersicht", ["MESSAGES"]) == {b"MESSAGES": 1}
        assert client.search(["SEEN"]) == uids[:10]
        assert client.thread("REFERENCES", "ALL")
        assert client.sort(["REVERSE SIZE", "ARRIVAL"]) != client.sort("ARRIVAL") == client.search()
        client.idle()
        remote.append("INBOX", [message("While idle")])
        assert (MAILBOX_MESSAGES - 3, b"EXISTS") in client.idle_check(timeout=TIMEOUT_SECONDS)
        client.idle_done()
    assert len(remote.state()["Archive"]) == 4
