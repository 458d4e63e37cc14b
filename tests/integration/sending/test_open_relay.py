"""No port relays for a stranger, and nothing leaves because of mail from outside; by swaks, as testers of relays do."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account
from tests.support.product import TIMEOUT_SECONDS, Product
from tests.support.relay.internet import Internet

pytestmark = pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")

SERVICES = {"Pop3__Enabled": "false", "Imap__Enabled": "false"}
RCPT_REFUSED = 24  # the exit status of swaks
MAIL_REFUSED = 23
PORTS = {"Smtp__MxPort": (), "Smtp__Port": ("-tls",), "Smtp__SecurePort": ("--tls-on-connect",)}
RECIPIENTS = (
    "bob@there.test",
    "bob%there.test@example.test",
    "there.test!bob@example.test",
    '"bob@there.test"@example.test',
    "@example.test:bob@there.test",
    "bob@[127.0.0.1]",
)


def swaks(product: Product, port: str, sender: str, recipient: str, *options: str) -> int:
    """Send a message; the exit status."""
    command = ["swaks", "--server", f"localhost:{product.ports[port]}", "--helo", "client.there.test", *PORTS[port]]
    done = subprocess.run(
        [*command, "--from", sender, "--to", recipient, *options],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(product.directory)},
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.returncode


async def test_no_port_is_an_open_relay_and_mail_from_outside_is_not_reported(
    tmp_path: Path, internet: Internet
) -> None:
    victim = await internet.domain("there.test")
    with Product(tmp_path, **SERVICES, **internet.settings) as product:
        await asyncio.to_thread(try_everything, product)
        assert product.relate_json("queue", "list") == []
    assert victim.connections == 0


def try_everything(product: Product) -> None:
    ann, bob = Account.create(product, "ann"), Account.create(product, "bob")
    product.relate_json("user", "add", "full@example.test", "--quota", "1")
    product.start()
    for sender in ("stranger@there.test", ann.address, "<>"):
        for recipient in RECIPIENTS:
            assert swaks(product, "Smtp__MxPort", sender, recipient) == RCPT_REFUSED, (sender, recipient)
    for port in ("Smtp__Port", "Smtp__SecurePort"):
        for recipient in RECIPIENTS:
            assert swaks(product, port, ann.address, recipient) in (MAIL_REFUSED, RCPT_REFUSED), recipient
        login = ("--auth", "PLAIN", "--auth-user", ann.address, "--auth-password", ann.key)
        for sender in (bob.address, "stranger@there.test"):
            assert swaks(product, port, sender, "bob@there.test", *login) in (MAIL_REFUSED, RCPT_REFUSED), sender
        wrong = (*login[:-1], bob.key)
        assert swaks(product, port, ann.address, "bob@there.test", *wrong) not in (0, RCPT_REFUSED)
    for recipient in (ann.address, "nobody@example.test", "full@example.test"):
        with product.mx() as client:
            client.ehlo()
            client.mail("stranger@there.test")
            code, _ = client.rcpt(recipient, ["NOTIFY=SUCCESS,FAILURE,DELAY"])
            if code == 250:
                client.data("Subject: x\r\n\r\ntext\r\n")
