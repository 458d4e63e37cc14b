"""Commands as octets: parameters only where they were announced, and no injection."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_relay.client import commands
from relate_relay.client.capabilities import NO_CAPABILITIES, Capabilities
from relate_relay.client.commands import hello, login, mail, rcpt
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.xtext import decode_xtext, encode_xtext
from relate_wire.secret import Secret
from tests.support.examples import examples

ALL = Capabilities(max_size=0, eight_bit_mime=True, smtputf8=True, dsn=True)
ANN = Recipient("ann@example.test")


def test_hello_has_the_name_of_the_client() -> None:
    assert hello("EHLO", "mail.example.test") == ("EHLO", b"EHLO mail.example.test\r\n")
    assert hello("HELO", "[IPv6:2001:db8::1]").octets == b"HELO [IPv6:2001:db8::1]\r\n"


@pytest.mark.parametrize(
    ("envelope", "line"),
    [
        (Envelope("", ()), b"MAIL FROM:<>\r\n"),
        (Envelope("a@b.example", (), size=5), b"MAIL FROM:<a@b.example> SIZE=5\r\n"),
        (Envelope("a@b.example", (), needs_8bit=True), b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"),
        (Envelope("a@b.example", (), needs_utf8=True), b"MAIL FROM:<a@b.example> SMTPUTF8\r\n"),
        (Envelope("ü@b.example", ()), "MAIL FROM:<ü@b.example> SMTPUTF8\r\n".encode()),
        (Envelope("a@b", (Recipient("ü@c"),)), b"MAIL FROM:<a@b> SMTPUTF8\r\n"),
        (Envelope("a@b", (Recipient("c@d", orcpt="utf-8;ü@c"),)), b"MAIL FROM:<a@b> SMTPUTF8\r\n"),
        (Envelope("a@b", (), ret="HDRS", envid="x+2By"), b"MAIL FROM:<a@b> RET=HDRS ENVID=x+2By\r\n"),
        (Envelope('"a >b\\""@b.example', ()), b'MAIL FROM:<"a >b\\""@b.example>\r\n'),
    ],
)
def test_mail_has_the_parameters_that_the_message_needs(envelope: Envelope, line: bytes) -> None:
    assert mail(envelope, ALL) == ("MAIL", line)


def test_parameters_that_were_not_announced_are_not_sent() -> None:
    envelope = Envelope("a@b", (ANN,), size=5, needs_8bit=True, needs_utf8=True, ret="FULL", envid="x")
    assert mail(envelope, NO_CAPABILITIES).octets == b"MAIL FROM:<a@b>\r\n"
    assert rcpt(Recipient("a@b", "NEVER", "rfc822;a@b"), NO_CAPABILITIES).octets == b"RCPT TO:<a@b>\r\n"


@pytest.mark.parametrize(
    ("recipient", "line"),
    [
        (ANN, b"RCPT TO:<ann@example.test>\r\n"),
        (Recipient("postmaster"), b"RCPT TO:<postmaster>\r\n"),
        (Recipient("a@[IPv6:::1]"), b"RCPT TO:<a@[IPv6:::1]>\r\n"),
        (Recipient("a@b", notify="SUCCESS,DELAY"), b"RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY\r\n"),
        (Recipient("a@b", "NEVER", "rfc822;a+2Bb@c"), b"RCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@c\r\n"),
        (Recipient("a@b", orcpt="utf-8;ü@c"), "RCPT TO:<a@b> ORCPT=utf-8;ü@c\r\n".encode()),
    ],
)
def test_rcpt_has_the_parameters_of_rfc_3461_section_4(recipient: Recipient, line: bytes) -> None:
    assert rcpt(recipient, ALL) == ("RCPT", line)


@pytest.mark.parametrize(
    "address",
    [
        "a@b\r\nRCPT TO:<c@d>", "a@b\n", "a\r@b", "a\0@b", "a@b> NOTIFY=NEVER", "a b@c", "<a@b", "a@b c", "a@", "@b",
        "a@b@c", '"a', '"a"b@c', '"a\r\nb"@c', "a\x7f@b", "a\x85@b", "a@b\u2028", "a@\ud800", '"\ud800"@b', "a,b@c",
        "a@b>", " ",
    ],
)  # fmt: skip
def test_an_address_cannot_leave_its_brackets(address: str) -> None:
    with pytest.raises(ValueError, match="recipient cannot be sent in an SMTP command"):
        rcpt(Recipient(address), ALL)
    with pytest.raises(ValueError, match="sender cannot be sent in an SMTP command"):
        mail(Envelope(address, ()), ALL)


def test_a_recipient_is_not_empty() -> None:
    with pytest.raises(ValueError, match="recipient"):
        rcpt(Recipient(""), ALL)


@pytest.mark.parametrize("value", ["a b", "a\r\n", "a=b", "a+", "a+2", "a+zz", "ü", "x" * 101, "\0"])
def test_envid_is_xtext(value: str) -> None:
    with pytest.raises(ValueError, match="ENVID"):
        mail(Envelope("a@b", (), envid=value), ALL)


@pytest.mark.parametrize(
    ("notify", "orcpt"),
    [("ALWAYS", ""), ("NEVER,SUCCESS", ""), ("SUCCESS ", ""), ("NEVER\r\n", ""), ("", "a@b"), ("", "rfc822;a b"),
     ("", "rfc822;a\r\nQUIT"), ("", "rfc822;"), ("", "rfc822;a\u2028")],
)  # fmt: skip
def test_the_parameters_of_rcpt_are_checked(notify: str, orcpt: str) -> None:
    with pytest.raises(ValueError, match=r"NOTIFY|ORCPT"):
        rcpt(Recipient("a@b", notify, orcpt), ALL)


@pytest.mark.parametrize("name", ["", "a b", "a\r\nQUIT", "ü.example", "[::1\r\n]"])
def test_the_name_of_the_client_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="client name"):
        hello("EHLO", name)


@settings(max_examples=examples(300))
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_command_is_one_line_whatever_its_values(address: str, notify: str, orcpt: str) -> None:
    try:
        line = rcpt(Recipient(address, notify, orcpt), ALL).octets
    except ValueError:
        return
    assert line.endswith(b"\r\n")
    assert not {*b"\r\n\0"} & {*line[:-2]}


def test_bdat_has_the_octets_of_its_chunk_rfc_3030_section_2() -> None:
    assert commands.bdat(10, is_last=False) == b"BDAT 10\r\n"
    assert commands.bdat(0, is_last=True) == b"BDAT 0 LAST\r\n"


def test_plain_is_one_message_rfc_4616_section_2() -> None:
    (line,) = login("PLAIN", "ann", Secret("sésame"))
    verb, mechanism, response = line.reveal().split()
    assert (verb, mechanism) == (b"AUTH", b"PLAIN")
    assert base64.b64decode(response) == "\0ann\0sésame".encode()


def test_login_answers_two_challenges() -> None:
    first, name, password = (line.reveal() for line in login("LOGIN", "ann", Secret("sesame")))
    assert first == b"AUTH LOGIN\r\n"
    assert (base64.b64decode(name), base64.b64decode(password)) == (b"ann", b"sesame")
    assert name.endswith(b"\r\n")
    assert password.endswith(b"\r\n")


@pytest.mark.parametrize("password", ["", "hidden\0", "hidden\ud800"])
def test_a_password_that_cannot_be_sent_is_not_quoted(password: str) -> None:
    with pytest.raises(ValueError, match="password") as raised:
        login("PLAIN", "ann", Secret(password))
    assert "hidden" not in repr(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "xtext"), [("a@b", "a@b"), ("a+b=c", "a+2Bb+3Dc"), ("a b", "a+20b"), ("\r\n\x7f", "+0D+0A+7F"), ("", "")]
)
def test_xtext_encodes_what_rfc_3461_section_4_does_not_allow(text: str, xtext: str) -> None:
    assert encode_xtext(text) == xtext
    assert decode_xtext(xtext) == text


def test_xtext_is_ascii() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        encode_xtext("ü")


@given(st.text(st.characters(max_codepoint=127)))
def test_xtext_round_trips(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


def test_malformed_xtext_is_decoded_as_it_is() -> None:
    assert decode_xtext("a+zz+4") == "a+zz+4"
