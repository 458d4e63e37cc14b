"""A person signs up in a browser, and opens the link that arrives by mail.

Needs `pip install playwright` and a browser: Debian's Chromium, or the one that CHROMIUM names.
"""

import os
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from relate_mail.testing import Namespace, Server

pytest_plugins = ["relate_mail.testing.fixtures"]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FORM = b"<form method=post><label>Address <input name=address></label><button>Sign up</button></form>"


class Shop(ThreadingHTTPServer):
    """The program under test: a form that mails a link, and the page behind it."""

    def __init__(self, mail: Server) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.mail = mail
        self.url = f"http://127.0.0.1:{self.server_port}"

    def send_link(self, address: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "shop@example.org", address, "Confirm your address"
        message.set_content("Please open the link of the HTML part.")
        message.add_alternative(f'<p><a href="{self.url}/confirm?of={address.replace("+", "%2B")}">Yes</a>', "html")
        with smtplib.SMTP(self.mail.host, self.mail.ports.smtp) as client:
            client.send_message(message)


class Pages(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        confirmed = parse_qs(url.query).get("of", [""])[0]
        self._answer(f"<h1>{confirmed} is confirmed</h1>".encode() if url.path == "/confirm" else FORM)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.send_link(form["address"][0])
        self._answer(b"<h1>Look into your mailbox</h1>")

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self, page: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page)


@pytest.fixture
def shop(relate_server: Server) -> Iterator[Shop]:
    with Shop(relate_server) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


def test_a_person_confirms_an_address(shop: Shop, page: Page, relate_mail: Namespace) -> None:
    alice = relate_mail.mailbox("alice")
    page.goto(shop.url)
    page.get_by_label("Address").fill(alice.address)
    page.get_by_role("button").click()
    message = alice.wait(subject="Confirm")
    page.goto(message.links[0])
    assert page.get_by_role("heading").text_content() == f"{alice.address} is confirmed"
