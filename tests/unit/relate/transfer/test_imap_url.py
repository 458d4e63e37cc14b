import pytest

from relate.transfer.errors import TransferError
from relate.transfer.imap import ImapAddress, is_imap_url, parse_imap_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("imap://alice@mail.example.org", ImapAddress("alice", "mail.example.org", 143, False)),
        ("imaps://alice@mail.example.org/", ImapAddress("alice", "mail.example.org", 993, True)),
        ("IMAPS://alice@example.org@mail:1993", ImapAddress("alice@example.org", "mail", 1993, True)),
        ("imap://alice%40example.org@[::1]:10143", ImapAddress("alice@example.org", "::1", 10143, False)),
    ],
)
def test_a_url_is_read(url: str, address: ImapAddress) -> None:
    assert is_imap_url(url)
    assert parse_imap_url(url) == address


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
def test_what_is_no_account_is_refused(url: str) -> None:
    with pytest.raises(TransferError):
        parse_imap_url(url)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.2", True), ("::1", True), ("localhost.test", False), ("10.0.0.1", False)],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert ImapAddress("a", host, 143, False).is_loopback is loopback
