"""Debian's Dovecot as a reference: a child process with its own configuration, directory and port.

Every login name is a user with the same password, so that each dialogue has a fresh account. Mail is in sdbox, which
supports names without a mailbox, and is not synced to disk.
"""

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.imap.client import HOST
from tests.support.product import reserve_port

PASSWORD = "tanstaaf"  # used by tests only
TIMEOUT_SECONDS = 20.0
PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_MAILBOXES = "  mailbox INBOX {\n    auto = subscribe\n  }\n" + "".join(
    f"  mailbox {name} {{\n    auto = subscribe\n    special_use = \\{name}\n  }}\n"
    for name in ("Archive", "Drafts", "Junk", "Sent", "Trash")
)


class NoDovecotError(Exception):
    """Dovecot is not installed or does not start."""


class Dovecot(NamedTuple):
    """A running Dovecot."""

    port: int


@contextmanager
def running_dovecot() -> Iterator[Dovecot]:
    """Run a Dovecot. Raises NoDovecotError."""
    if PROGRAM is None or not Path("/usr/lib/dovecot/imap").exists():
        raise NoDovecotError("Dovecot (Debian's dovecot-imapd) is not installed")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovecot-")))
        port = reserve_port(stack)
        process = subprocess.Popen(
            [PROGRAM, "-F", "-c", _configured(directory, port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(directory, process)
            yield Dovecot(port)
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)


def _configured(directory: Path, port: int) -> Path:
    mail = directory / "mail"
    mail.mkdir()
    owner = "nobody" if os.geteuid() == 0 else getpass.getuser()  # Dovecot refuses to deliver as root
    directory.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(mail, owner)
    user = pwd.getpwnam(owner)
    path = directory / "dovecot.conf"
    path.write_text(
        _CONFIGURATION.format(directory=directory, port=port, host=HOST, password=PASSWORD, user=user)
        .replace("@MAILBOXES@", _MAILBOXES)
        .replace("@USERS@", _users())
    )
    return path


def _users() -> str:
    if os.geteuid() == 0:
        return ""
    me = getpass.getuser()
    return f"default_internal_user = {me}\ndefault_login_user = {me}\ndefault_internal_group = {os.getegid()}\n"


def _wait_until_ready(directory: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    log = directory / "log"
    while not (log.exists() and "starting up" in log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NoDovecotError(f"Dovecot does not start: {log.read_text() if log.exists() else ''}")
        time.sleep(0.02)


_CONFIGURATION = """\
protocols = imap
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
listen = {host}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
@USERS@
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {user.pw_uid}
mail_gid = {user.pw_gid}
mail_location = sdbox:{directory}/mail/%u
mail_fsync = never
mail_save_crlf = yes
mail_max_userip_connections = 100
mail_plugins = quota
mailbox_list_index = yes
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = home={directory}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
@MAILBOXES@}}
plugin {{
  quota = count:User quota
  quota_rule = *:storage=1G
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = quota imap_quota imap_zlib
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  service_count = 1000
  process_min_avail = 2
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
