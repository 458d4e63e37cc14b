import pytest

from relate.transfer.errors import TransferError
from relate.transfer.imap_source import ImapAccount, is_imap_url, parse_imap_url


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("imap://alice@mail.example.org", ImapAccount("alice", "mail.example.org", 143, False)),
        ("imaps://alice@mail.example.org/", ImapAccount("alice", "mail.example.org", 993, True)),
        ("IMAPS://alice@example.org@mail:1993", ImapAccount("alice@example.org", "mail", 1993, True)),
        ("imap://alice%40example.org@[::1]:10143", ImapAccount("alice@example.org", "::1", 10143, False)),
    ],
)
def test_a_url_is_parsed(url: str, account: ImapAccount) -> None:
    assert is_imap_url(url)
    assert parse_imap_url(url) == account


@pytest.mark.parametrize(
    "url",
    [
        "imap://alice:tanstaaf@mail.example.org",
        "imaps://alice:tanstaaf@mail.example.org:993/",
        "imap://alice%40a:tanstaaf@[::1]",
        "imap://:tanstaaf@mail.example.org",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(TransferError, match="password") as error:
        parse_imap_url(url)
    assert "tanstaaf" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "imap://",
        "imap://mail.example.org",
        "imap://alice@",
        "imap://a@h:x",
        "imap://a@h/INBOX",
        "imap://a;AUTH=*@h",
        "imap://[::1",
    ],
)
def test_a_url_without_an_account_is_refused(url: str) -> None:
    with pytest.raises(TransferError):
        parse_imap_url(url)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.2", True), ("::1", True), ("localhost.test", False), ("10.0.0.1", False)],
)
def test_loopback_hosts_are_recognised(host: str, loopback: bool) -> None:
    assert ImapAccount("a", host, 143, False).is_loopback is loopback
