"""The settings of filters: the list, the form, and what a filter would do."""

import re
from html import unescape
from uuid import UUID

import httpx
import pytest

from relate_accounts.types import Scope, UserId
from relate_api.page.views.settings.filter_form import SHOWN_MESSAGES
from relate_api.page.views.settings.filter_words import actions_in_words, conditions_in_words
from relate_mailstore.filter_rules import MAX_FILTERS
from relate_mailstore.filter_types import Actions, Conditions, Filter, FilterRule, Label, LabelStyle
from relate_mailstore.types import AccountId
from tests.support.factories import delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.browsing import form_secret, sign_in
from tests.unit.api.page.settings import plain, submit

FILTERS, NEW = "/settings/filters", "/settings/filters/new"


async def only(world: MemoryBackend, alice: AccountId) -> Filter:
    (one,) = await world.store.filters.all(alice)
    return one


async def add(
    world: MemoryBackend, alice: AccountId, name: str, *, label: Label | None = None, **rule: object
) -> Filter:
    actions = Actions(label_id=label.id if label else None)
    return await world.store.filters.add(alice, FilterRule(name, actions=actions, **rule))  # type: ignore[arg-type]


async def names(world: MemoryBackend, alice: AccountId) -> list[str]:
    return [one.rule.name for one in await world.store.filters.all(alice)]


async def test_a_filter_is_created_with_all_that_the_form_has(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    work = await world.store.labels.add(alice, LabelStyle("Work", "#112233"))
    response = await submit(
        visitor,
        NEW,
        name=" Invoices ",
        sender="@shop.example",
        recipient="alice+shop@",
        subject="invoice",
        body="total",
        attachments="yes",
        larger="20K",
        mark_read="true",
        label=str(work.id),
        mailbox="Archive",
        delete="true",
        stop="true",
        is_enabled="true",
        do="save",
    )
    assert (response.status_code, response.headers["location"]) == (303, f"{FILTERS}?done=filter_saved")
    assert (await only(world, alice)).rule == FilterRule(
        "Invoices",
        Conditions("@shop.example", "alice+shop@", "invoice", "total", has_attachments=True, larger=20_000),
        Actions(mark_read=True, label_id=work.id, mailbox="Archive", delete=True, stop=True),
        priority=10,
    )


async def test_a_new_filter_acts_after_the_others(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    await add(world, alice, "first", priority=900)
    await submit(visitor, NEW, name="second", is_enabled="true", mark_read="true")
    assert await names(world, alice) == ["first", "second"]


async def test_the_form_of_a_filter_shows_it_and_saving_it_changes_nothing(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    rule = FilterRule(
        "Ärger <b>",
        Conditions(subject='a "quoted" text', has_attachments=False, larger=1_500),
        Actions(mark_read=True, mailbox="Archive"),
        priority=7,
        is_enabled=False,
    )
    one = await world.store.filters.add(alice, rule)
    page = await visitor.get(f"{FILTERS}/{one.id}")
    assert "<b>" not in page.text
    fields = dict(re.findall(r'<input id="\w+"[^>]*? name="(\w+)" value="([^"]*)"', page.text))
    chosen = re.findall(r'<select id="\w+" name="(\w+)">.*?<option value="([^"]*)" selected', page.text)
    boxes = re.findall(r'<input type="checkbox" name="(\w+)" value="true" checked', page.text)
    form = {**fields, **dict(chosen), **dict.fromkeys(boxes, "true")}
    await submit(visitor, f"{FILTERS}/{one.id}", **{name: unescape(value) for name, value in form.items()})
    assert (await only(world, alice)).rule == rule


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "A filter needs a name"),
        ({"name": "idle"}, "Choose what the filter does."),
        ({"name": "x" * 201}, "A filter needs a name of at most 200 characters."),
        ({"subject": "x" * 201}, "A text has at most 200 characters"),
        ({"body": "two\nlines"}, "in one line"),
        ({"larger": "large"}, "500, 20K or 1M"),
        ({"larger": "999999999999G"}, "500, 20K or 1M"),
        ({"label": "nope"}, "There is no such label"),
        ({"label": "00000000-0000-0000-0000-000000000000"}, "No label has this id."),
        ({"mailbox": "Nowhere"}, "No mailbox has this name"),
    ],
)
async def test_a_form_that_is_not_valid_comes_back_with_a_sentence_and_what_was_typed(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, fields: dict[str, str], sentence: str
) -> None:
    response = await submit(visitor, NEW, **{"name": "typed name", "sender": "typed@", **fields})
    assert response.status_code == 422
    assert sentence in plain(response)
    assert 'value="typed@"' in response.text
    for value in fields.values():
        assert unescape(value) in unescape(response.text)
    assert await world.store.filters.all(alice) == []


async def test_beyond_the_limit_a_filter_is_refused_with_a_sentence(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    for number in range(MAX_FILTERS):
        await add(world, alice, str(number))
    response = await submit(visitor, NEW, name="one more", mark_read="true")
    assert response.status_code == 422
    assert f"{MAX_FILTERS} filters exist: delete one first." in plain(response)


async def test_a_trial_of_a_filter_that_is_not_saved_shows_what_it_finds_and_does_nothing(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    found = [(await world.store.deliver(delivery(alice, raw=simple("Invoice")))).message_id for _ in range(25)]
    other = (await world.store.deliver(delivery(alice, raw=simple("Lunch")))).message_id
    response = await submit(
        visitor, NEW, subject="INVOICE", mark_read="true", mailbox="Archive", stop="true", is_enabled="true", do="try"
    )
    assert response.status_code == 200
    assert (
        "25 of the newest 26 messages match. Whenever such mail arrives, the filter would mark it as read,"
        " move it to “Archive” and apply no later filter." in plain(response)
    )
    shown = re.findall(r'href="/messages/([0-9a-f-]{36})"', response.text)
    assert [UUID(each) for each in shown] == found[::-1][:SHOWN_MESSAGES]
    assert str(other) not in response.text
    assert "And 5 more." in plain(response)
    assert 'value="INVOICE"' in response.text
    assert await world.store.filters.all(alice) == []


async def test_a_trial_finds_what_the_test_of_the_api_finds(
    world: MemoryBackend, visitor: httpx.AsyncClient, client: httpx.AsyncClient, alice: AccountId
) -> None:
    for raw in (simple("One"), multipart(), simple("Two", body="The needle.\r\n")):
        await world.store.deliver(delivery(alice, raw=raw))
    for conditions, fields in (
        (Conditions(body="needle"), {"body": "needle"}),
        (Conditions(has_attachments=True), {"attachments": "yes"}),
        (Conditions(larger=500), {"larger": "500"}),
        (Conditions(), {}),
    ):
        one = await world.store.filters.add(alice, FilterRule("stored", conditions))
        tested = (await client.post(f"/api/filters/{one.id}/test")).json()["matchedEmailIds"]
        response = await submit(visitor, f"{FILTERS}/{one.id}", do="try", **fields)
        assert re.findall(r'href="/messages/([0-9a-f-]{36})"', response.text) == tested
        assert tested


async def test_a_trial_tells_that_nothing_matches_and_that_the_filter_is_off(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    assert "There is no mail yet to try it on." in plain(await submit(visitor, NEW, do="try"))
    await world.store.deliver(delivery(alice))
    nothing = await submit(visitor, NEW, subject="nothing like it", do="try")
    assert "The only message does not match." in plain(nothing)
    off = plain(await submit(visitor, NEW, delete="true", do="try"))
    assert "The only message matches. The filter is off: if it were on, it would put it into the trash" in off


async def test_a_trial_of_a_form_that_is_not_valid_comes_back_with_a_sentence(visitor: httpx.AsyncClient) -> None:
    response = await submit(visitor, NEW, larger="big", do="try")
    assert response.status_code == 422
    assert 'value="big"' in response.text


async def test_filters_are_listed_in_the_order_in_which_they_act_and_moved(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    first, second = await add(world, alice, "first"), await add(world, alice, "second")
    response = await submit(visitor, f"{FILTERS}/{second.id}/actions", action="up")
    assert response.headers["location"] == f"{FILTERS}#f{second.id}"
    assert await names(world, alice) == ["second", "first"]
    text = plain(await visitor.get(FILTERS))
    assert text.index("second") < text.index("first", text.index("second"))
    await submit(visitor, f"{FILTERS}/{second.id}/actions", action="down")
    assert await names(world, alice) == ["first", "second"]
    await submit(visitor, f"{FILTERS}/{first.id}/actions", action="delete")
    assert await names(world, alice) == ["second"]


async def test_the_list_tells_how_often_a_filter_has_acted_and_turns_it_off(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    one = await add(world, alice, "all", conditions=Conditions(subject="hello"))
    assert "Has not acted yet." in plain(await visitor.get(FILTERS))
    await world.store.deliver(delivery(alice))
    text = plain(await visitor.get(FILTERS))
    assert "If the subject contains “hello”: do nothing." in text
    assert "Has acted 1 time, last " in text
    await submit(visitor, f"{FILTERS}/{one.id}/actions", action="disable")
    assert (await only(world, alice)).rule.is_enabled is False
    await submit(visitor, f"{FILTERS}/{one.id}/actions", action="enable")
    assert await only(world, alice) == (await world.store.filters.find(alice, one.id))
    assert (await only(world, alice)).rule.is_enabled is True


async def test_a_filter_whose_label_or_mailbox_is_gone_is_shown_as_such(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    work = await world.store.labels.add(alice, LabelStyle("Work", "#112233"))
    labelling = await add(world, alice, "labels", label=work)
    await world.store.filters.add(alice, FilterRule("moves", actions=Actions(mailbox="Gone")))
    await world.store.labels.remove(alice, work.id)
    text = plain(await visitor.get(FILTERS))
    assert "This filter does nothing, because its label was deleted." in text
    assert "This filter does nothing, because there is no mailbox with this name." in text
    refused = await submit(visitor, f"{FILTERS}/{labelling.id}/actions", action="disable")
    assert refused.status_code == 422
    assert "choose another label" in plain(refused)
    assert "a label that was deleted" in plain(await visitor.get(f"{FILTERS}/{labelling.id}"))


async def test_a_session_that_may_only_read_sees_the_filters_without_forms(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    await add(world, alice, "mine")
    key = await world.accounts.create_key(UserId(alice), "reader", [Scope.API_READ])
    await sign_in(stranger, key.secret)
    page = await stranger.get(FILTERS)
    assert "mine" in page.text
    assert "/actions" not in page.text
    assert NEW not in page.text


def test_conditions_and_actions_are_said_in_words() -> None:
    assert conditions_in_words(Conditions()) == "it is any mail"
    assert conditions_in_words(Conditions("ann", "bob", has_attachments=False)) == (
        "the sender’s address contains “ann”, a recipient’s address contains “bob” and it has no attachment"
    )
    assert actions_in_words(Actions(), ()) == "do nothing"
    assert actions_in_words(Actions(mailbox="INBOX", delete=True), ()) == "put it into the trash"
    assert actions_in_words(Actions(mailbox="INBOX"), ()) == "move it to “Inbox”"


async def test_who_may_not_read_mail_tries_no_filter(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.store.deliver(delivery(alice))
    key = await world.accounts.create_key(UserId(alice), "writer", [Scope.ADMIN, Scope.API_WRITE])
    await sign_in(stranger, key.secret)
    assert (await stranger.get(NEW)).status_code == 403
    secret = form_secret(await stranger.get("/admin"))
    response = await stranger.post(NEW, data={"csrf": secret, "do": "try", "name": "all"})
    assert response.status_code == 403
