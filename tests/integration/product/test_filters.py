"""Filters and labels: created with the API, seen in IMAP at once, and by POP3."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from imapclient import IMAPClient

from tests.integration.product.accounts import Account, message
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

pytestmark = [
    pytest.mark.xdist_group("product-filters"),
    pytest.mark.parametrize(
        "product", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True, scope="module"
    ),
]

STRANGER = "stranger@example.org"


@contextmanager
def imap(product: Product, account: Account, mailbox: str = "INBOX") -> Iterator[IMAPClient]:
    with IMAPClient(HOST, product.ports["Imap__Port"], ssl=False, timeout=TIMEOUT_SECONDS) as client:
        client.login(*account)
        client.select_folder(mailbox)
        yield client


@pytest.fixture
def api(product: Product, alice: Account) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {alice.key}"}
    with httpx.Client(base_url=f"{product.api_url}/api", headers=headers, timeout=TIMEOUT_SECONDS) as client:
        yield client


def create(api: httpx.Client, path: str, **properties: Any) -> str:
    response = api.post(path, json=properties)
    assert response.status_code == 201, response.text
    created: str = response.json()["id"]
    return created


def deliver(product: Product, account: Account, subject: str, text: str = "At noon?\n") -> None:
    with product.mx() as client:
        content = message(STRANGER, account.address, subject=subject, text=text)
        assert client.send_message(content, STRANGER, [account.address]) == {}


def test_a_delivered_message_has_its_label_and_is_read_in_imap_at_once(
    product: Product, alice: Account, api: httpx.Client
) -> None:
    label = create(api, "/labels", name="To do", color="#ff0000")
    create(api, "/filters", name="do", subjectContains="please", assignLabelId=label, markAsRead=True)
    with imap(product, alice) as client:
        client.idle()
        deliver(product, alice, "Please call")
        assert (1, b"EXISTS") in [update[:2] for update in client.idle_check(TIMEOUT_SECONDS)]
        client.idle_done()
        (fetched,) = client.fetch(client.search(), ["FLAGS"]).values()
        assert {b"\\Seen", b"To_do"} <= {*fetched[b"FLAGS"]}
        assert client.search(["KEYWORD", "To_do"]) == [1]
    with product.pop3(*alice) as reader:
        assert reader.stat()[0] == 1
    (found,) = api.get(f"/labels/{label}/emails").json()["items"]
    assert (found["subject"], found["isRead"]) == ("Please call", True)


def test_a_filter_moves_deletes_and_leaves_the_rest(product: Product, alice: Account, api: httpx.Client) -> None:
    create(api, "/filters", name="news", bodyContains="UNSUBSCRIBE  here", moveToMailbox="Archive", priority=1)
    create(api, "/filters", name="spam", fromAddressContains=STRANGER, subjectContains="offer", delete=True)
    deliver(product, alice, "News", "Unsubscribe\nhere.\n")
    deliver(product, alice, "Large news", "words words words\n" * 20_000 + "Unsubscribe here.\n")
    deliver(product, alice, "An offer")
    deliver(product, alice, "Lunch")
    for mailbox, subjects in {"INBOX": ["Lunch"], "Archive": ["News", "Large news"], "Trash": ["An offer"]}.items():
        with imap(product, alice, mailbox) as client:
            envelopes = client.fetch(client.search(), ["ENVELOPE"])
            assert [envelopes[uid][b"ENVELOPE"].subject.decode() for uid in sorted(envelopes)] == subjects
    with product.pop3(*alice) as reader:
        assert reader.stat()[0] == 1
    assert [row["timesApplied"] for row in api.get("/filters").json()["items"]] == [2, 1]


def test_a_deleted_label_leaves_the_messages_of_an_idle_session(
    product: Product, alice: Account, api: httpx.Client
) -> None:
    label = create(api, "/labels", name="work", color="#ff0000")
    create(api, "/filters", name="all", assignLabelId=label)
    deliver(product, alice, "One")
    with imap(product, alice) as client:
        client.idle()
        assert api.delete(f"/labels/{label}").status_code == 204
        updates = client.idle_check(TIMEOUT_SECONDS)
        assert not any(b"work" in repr(update).encode() for update in updates if update[1] == b"FETCH")
        assert any(update[1] == b"FETCH" for update in updates)
        client.idle_done()
    deliver(product, alice, "Two")
    with imap(product, alice) as client:
        assert client.search(["KEYWORD", "work"]) == []
        assert len(client.search()) == 2


def test_appended_messages_are_not_filtered(product: Product, alice: Account, api: httpx.Client) -> None:
    create(api, "/filters", name="all", delete=True)
    with imap(product, alice) as client:
        client.append("INBOX", b"Subject: mine\r\n\r\nx\r\n")
        assert len(client.search()) == 1
