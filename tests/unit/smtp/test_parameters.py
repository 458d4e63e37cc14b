"""The parameters of MAIL and RCPT."""

import pytest

from relate_smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, ParameterFault, parse_parameters

VALID_FOR_MAIL = [
    ("", {}),
    (" SIZE=1000", {"SIZE": "1000"}),
    (" size=0", {"SIZE": "0"}),
    (" BODY=7bit", {"BODY": "7bit"}),
    ("  BODY=8BITMIME   SMTPUTF8 ", {"BODY": "8BITMIME", "SMTPUTF8": ""}),
    (" BODY=BINARYMIME SIZE=100000", {"BODY": "BINARYMIME", "SIZE": "100000"}),
    (" AUTH=<>", {"AUTH": "<>"}),
    (" AUTH=e+3Dmc2@example.com", {"AUTH": "e+3Dmc2@example.com"}),
    (" RET=HDRS ENVID=QQ314159", {"RET": "HDRS", "ENVID": "QQ314159"}),
    (" ENVID=" + "x" * 100, {"ENVID": "x" * 100}),
]

VALID_FOR_RCPT = [
    ("", {}),
    (" NOTIFY=NEVER", {"NOTIFY": "NEVER"}),
    (" NOTIFY=SUCCESS,FAILURE,DELAY", {"NOTIFY": "SUCCESS,FAILURE,DELAY"}),
    (" orcpt=rfc822;Bob+2Bx@Example.COM", {"ORCPT": "rfc822;Bob+2Bx@Example.COM"}),
    (" ORCPT=utf-8;jörg@example.net", {"ORCPT": "utf-8;jörg@example.net"}),
]

MALFORMED_FOR_MAIL = [
    "SIZE=1",  # not separated from the path
    "\tSIZE=1",
    " SIZE",
    " SIZE=",
    " SIZE=-1",
    " SIZE=1.5",
    " SIZE=123456789012345678901",
    " SIZE=\u0661",  # a digit outside of ASCII
    " SIZE=1 size=1",
    " BODY=",
    " BODY=8BIT",
    " BODY=7B\u0131T",  # U+0131, whose upper case is I
    " SMTPUTF8=1",
    " AUTH=",
    " AUTH=a+3",
    " AUTH=a=b",
    " RET=",
    " RET=ALL",
    " ENVID=a+zz",
    " ENVID=" + "x" * 101,
]

MALFORMED_FOR_RCPT = [
    " NOTIFY=",
    " NOTIFY=SOMETIMES",
    " NOTIFY=NEVER,DELAY",
    " NOTIFY=DELAY,",
    " NOTIFY=DELAY, FAILURE",
    " NOTIFY=\u017fUCCESS",  # U+017F, whose upper case is S
    " ORCPT=bob@example.net",
    " ORCPT=;bob",
    " ORCPT=rfc822;",
    " ORCPT=rfc822;a+b",
    " ORCPT=rfc822;" + "x" * 501,
]


@pytest.mark.parametrize(("text", "parameters"), VALID_FOR_MAIL)
def test_mail_accepts_its_parameters(text: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(text, MAIL_PARAMETERS) == parameters


@pytest.mark.parametrize(("text", "parameters"), VALID_FOR_RCPT)
def test_rcpt_accepts_its_parameters(text: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(text, RCPT_PARAMETERS) == parameters


@pytest.mark.parametrize("text", MALFORMED_FOR_MAIL)
def test_mail_refuses_malformed_parameters(text: str) -> None:
    assert parse_parameters(text, MAIL_PARAMETERS) in (ParameterFault.MALFORMED, ParameterFault.UNKNOWN)


@pytest.mark.parametrize("text", MALFORMED_FOR_RCPT)
def test_rcpt_refuses_malformed_parameters(text: str) -> None:
    assert parse_parameters(text, RCPT_PARAMETERS) is not None
    assert isinstance(parse_parameters(text, RCPT_PARAMETERS), ParameterFault)


@pytest.mark.parametrize("text", [" COLOUR=BLUE", " =", " NOTIFY=NEVER", " XVERP", " \x00"])
def test_unknown_parameter_is_refused(text: str) -> None:
    assert parse_parameters(text, MAIL_PARAMETERS) is ParameterFault.UNKNOWN
