"""Erasing all mail of an account, and of no other."""

from relate_mailstore.erase import erase
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Delivery, Destination, NewMessage

RAW = b"Subject: hello\r\n\r\nhello\r\n"


async def test_all_mail_mailboxes_and_subscriptions_of_an_account_are_erased(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.provision(alice)
    for _ in range(3):
        await store.deliver(Delivery(RAW, (Destination(alice), Destination(bob))))
    await store.create_mailbox(alice, "Work/Bills")
    await store.append(alice, "Work/Bills", [NewMessage(RAW)])
    assert await erase(store, alice) == 4
    (inbox,) = await store.mailboxes(alice)
    assert (inbox.name, inbox.messages) == ("INBOX", 0)
    assert await store.usage(alice) == 0
    assert list(await store.subscriptions(alice)) == []
    assert (await store.mailbox(bob)).messages == 3
    assert await erase(store, alice) == 0


async def test_an_account_without_mail_is_erased_too(store: MailStore, alice: AccountId) -> None:
    assert await erase(store, alice) == 0
