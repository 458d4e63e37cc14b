"""The settings of mail programs, and the QR code of an account: read by ZXing, as Thunderbird for Android does."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
import segno
import zxingcpp

from relate_accounts.types import Granted, Scope, UserId
from relate_api.autoconfig.thunderbird import account_code
from relate_api.page.qr_code import QUIET_MODULES, draw_qr_code
from relate_mailstore.types import AccountId
from relate_wire.published import Endpoint
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import INSTALLATION, create_api, create_client
from tests.unit.api.page.browsing import sign_in
from tests.unit.api.page.settings import plain, submit

DEVICES = "/settings/devices"
OFF = Endpoint("mail.example.org", 143, 993, enabled=False)
STARTTLS_ONLY = Endpoint("mail.example.org", 587, None)
KEY = "rm_" + "x" * 43
PIXELS = 4
"""Of the side of a module."""


def read_code(drawn: str) -> str:
    """Decode the QR code of an element `svg`, whose dark modules are the runs of its second path."""
    found = re.search(
        r'<svg viewBox="0 0 (\d+) \1" class="qr"><path fill="#fff" [^>]*/><path stroke="#000" d="([^"]+)"', drawn
    )
    assert found is not None, drawn
    side, x, y = int(found[1]), 0, 0
    image = [bytearray(b"\xff" * side * PIXELS) for _ in range(side * PIXELS)]
    for command, numbers in re.findall(r"([MmhH])([-\d. ]+)", found[2]):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = int(values[0]), int(values[1])
        elif command == "m":
            x, y = x + int(values[0]), y + int(values[1])
        else:
            run = int(values[0])
            for row in image[y * PIXELS : (y + 1) * PIXELS]:
                row[x * PIXELS : (x + run) * PIXELS] = bytes(run * PIXELS)
            x += run
    pixels = memoryview(b"".join(image)).cast("B", shape=[len(image), len(image[0])])
    (code,) = zxingcpp.read_barcodes(pixels)
    return str(code.text)


def expected_account(address: str, name: str, key: str) -> list[Any]:
    """By the specification of "Export for Mobile", version 1: 0 is IMAP and SMTP, 3 is TLS, 1 a password in clear."""
    return [
        1,
        [1, 1],
        [0, "mail.example.org", 993, 3, 1, address, "", key],
        [[[0, "mail.example.org", 465, 3, 1, address, key], [address, name]]],
    ]


def test_the_code_of_an_account_has_the_format_of_thunderbird() -> None:
    text = account_code("alice@example.org", "Älice", KEY, INSTALLATION)
    assert text is not None
    assert json.loads(text) == expected_account("alice@example.org", "Älice", KEY)
    assert " " not in text


def test_an_account_is_read_by_pop3_and_starttls_where_there_is_nothing_better() -> None:
    installation = replace(INSTALLATION, imap=OFF, pop3=Endpoint("pop.example.org", 110, None), smtp=STARTTLS_ONLY)
    text = account_code("alice@example.org", "", KEY, installation)
    assert text is not None
    _, _, incoming, (((*outgoing, _), _),) = json.loads(text)
    assert incoming == [1, "pop.example.org", 110, 2, 1, "alice@example.org", "", KEY]
    assert outgoing == [0, "mail.example.org", 587, 2, 1, "alice@example.org"]


@pytest.mark.parametrize(
    ("address", "installation"),
    [
        ("jörg@example.org", INSTALLATION),
        ("", INSTALLATION),
        ("alice@example.org", replace(INSTALLATION, imap=OFF, pop3=OFF)),
        ("alice@example.org", replace(INSTALLATION, smtp=OFF)),
    ],
)
def test_there_is_no_code_of_what_thunderbird_cannot_read(address: str, installation: Any) -> None:
    assert account_code(address, "", KEY, installation) is None


def test_a_drawn_code_is_read_again_by_a_decoder() -> None:
    text = account_code("alice@example.org", 'Älice "A" 愛麗絲', KEY, INSTALLATION)
    assert text is not None
    assert read_code(draw_qr_code(text)) == text


def test_a_code_is_drawn_without_style_and_with_the_margin_that_scanners_need() -> None:
    drawn = draw_qr_code("x" * 200)
    assert "style" not in drawn
    side, _ = segno.make_qr("x" * 200).symbol_size(border=QUIET_MODULES)
    assert f'viewBox="0 0 {side} {side}"' in drawn


async def test_the_settings_of_mail_programs_are_shown(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get(DEVICES)
    text = plain(page)
    for row in (
        "read mail (IMAP) mail.example.org 993 TLS",
        "read mail (IMAP) mail.example.org 143 STARTTLS",
        "fetch mail (POP3) mail.example.org 995 TLS",
        "send mail (SMTP) mail.example.org 465 TLS",
        "User name alice@example.org",
        "autoconfig.example.org",
    ):
        assert row in text
    profile = re.search(r'href="(/email\.mobileconfig\?[^"]+)"', page.text)
    assert profile is not None
    assert (await visitor.get(profile[1])).headers["content-type"] == "application/x-apple-aspen-config"


async def test_a_phone_gets_a_key_of_its_own_and_a_code_that_is_shown_once(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    response = await submit(visitor, DEVICES, page=DEVICES, name="Pixel")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    account = json.loads(read_code(response.text))
    secret = account[2][-1]
    assert account == expected_account("alice@example.org", "", secret)
    assert f'value="{secret}"' in response.text
    key = next(iter(await world.accounts.keys(UserId(alice))))
    assert (key.name, key.scopes) == ("Pixel", frozenset({Scope.IMAP, Scope.SMTP}))
    granted = await world.authenticator.validate("alice@example.org", secret, Scope.IMAP, "192.0.2.1")
    assert isinstance(granted, Granted)
    assert granted.key_id == key.id
    for path in (DEVICES, "/settings/keys"):
        assert secret not in (await visitor.get(path)).text


async def test_a_phone_without_a_name_is_refused_with_a_sentence(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    response = await submit(visitor, DEVICES, page=DEVICES, name=" ")
    assert response.status_code == 422
    assert "A key needs a name" in plain(response)
    assert len(await world.accounts.keys(UserId(alice))) == 1


async def test_where_no_phone_can_read_mail_none_is_set_up(world: MemoryBackend, alice: AccountId) -> None:
    installation = replace(INSTALLATION, imap=OFF, pop3=OFF)
    async with create_client(create_api(world, installation=installation)) as browser:
        await sign_in(browser, "alice")
        assert "Make the QR code" not in (await browser.get(DEVICES)).text
        response = await submit(browser, DEVICES, page=DEVICES, name="Phone")
    assert response.status_code == 422
    assert len(await world.accounts.keys(UserId(alice))) == 1


async def test_a_session_that_may_not_grant_the_scopes_of_mail_programs_sets_up_no_phone(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    key = await world.accounts.create_key(UserId(alice), "admin", [Scope.ADMIN])
    await sign_in(stranger, key.secret, DEVICES)
    assert "This session may not make a key for a phone" in plain(await stranger.get(DEVICES))
    response = await submit(stranger, DEVICES, page=DEVICES, name="Phone")
    assert response.status_code == 422
    assert "cannot grant imap, smtp" in plain(response)
