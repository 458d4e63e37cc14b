"""The embedded edition sends: each attempt is seen, a dead Collector delays no mail, and secrets are nowhere."""

import asyncio
from pathlib import Path

from relate_telemetry.names import relay_span
from tests.integration.product.accounts import Account, message
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS, linked
from tests.integration.product.secret_markers import Secrets
from tests.support.certificates import Authority
from tests.support.product import Product
from tests.support.relay.internet import Internet
from tests.support.relay.sink import OK, Sink, reply
from tests.support.telemetry.registry import CheckedReceiver

SERVICES = {"Pop3__Enabled": "false", "Imap__Enabled": "false"}
STOP_SECONDS = 8.0  # while the Collector does not answer


async def submit(product: Product, sender: Account, address: str) -> None:
    def send() -> None:
        with product.submission(*sender) as client:
            assert client.send_message(message(sender.address, address)) == {}

    await asyncio.to_thread(send)


async def test_each_attempt_is_a_trace_linked_to_the_transaction_that_brought_the_message(
    tmp_path: Path, internet: Internet
) -> None:
    sink = await internet.domain("there.test", {"RCPT": [reply("450 4.2.1 later"), OK]})
    settings = SERVICES | SHORT_EXPORT_INTERVALS | internet.settings | {"Relay__Retry": "0.2"}
    with CheckedReceiver() as receiver, Product(tmp_path, Otel__Endpoint=receiver.endpoint, **settings) as product:
        ann = await asyncio.to_thread(Account.create, product, "ann")
        await asyncio.to_thread(product.start)
        await submit(product, ann, "bob@there.test")
        await asyncio.to_thread(receiver.wait_for, lambda seen: len(seen.spans("relay.attempt")) == 2)
        transaction = receiver.span("smtp.transaction")
        deferred, accepted = attempts = receiver.spans("relay.attempt")
        for attempt in attempts:
            assert not attempt.parent_id
            assert linked(attempt) == [transaction.traceparent]
            children = {span.name for span in receiver.spans() if span.parent_id == attempt.span_id}
            assert children >= {relay_span(step) for step in ("command.mail", "command.rcpt")}
        # The second attempt may use the connection of the first.
        assert deferred.trace_id in {span.trace_id for span in receiver.spans(relay_span("dns"))}
        assert (deferred.attributes["relay.outcome"], accepted.attributes["relay.outcome"]) == ("temporary", "accepted")
        (refused, _) = receiver.spans("relay.command.rcpt")
        assert (refused.trace_id, refused.attributes["relay.reply.text"]) == (deferred.trace_id, "450 4.2.1 later")
    assert len(sink.messages) == 1


async def test_a_smarthost_gets_the_login_while_the_collector_is_dead_and_the_secret_is_nowhere(tmp_path: Path) -> None:
    secrets, authority, receiver = Secrets(), Authority(), CheckedReceiver()
    password = secrets.create("smarthost")
    (tmp_path / "password").write_text(password)
    authority.write_root(tmp_path / "authority.pem")
    refusal = reply(f"535 5.7.8 {password} is wrong")
    settings = {
        "Otel__Endpoint": receiver.endpoint,
        "Relay__Enabled": "true",
        "Relay__SmarthostUser": "relate",
        "Relay__SmarthostPassword__File": str(tmp_path / "password"),
        "Relay__Retry": "0.2",
        "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
    }
    certificate, logins = authority.serving("localhost"), {"relate": password}
    async with Sink({"AUTH": refusal}, certificate=certificate, logins=logins) as smarthost:
        settings |= SERVICES | SHORT_EXPORT_INTERVALS | {"Relay__Smarthost": f"localhost:{smarthost.port}"}
        with Product(tmp_path, **settings) as product:
            ann = await asyncio.to_thread(Account.create, product, "ann")
            with receiver:
                await asyncio.to_thread(product.start)
                await submit(product, ann, "bob@there.test")
                await asyncio.to_thread(receiver.wait_for, lambda seen: seen.spans("relay.command.auth"))
                smarthost.script.clear()
                await smarthost.arrived(1)
                await asyncio.to_thread(receiver.wait_for, lambda seen: seen.spans("relay.command.mail"))
            await submit(product, ann, "eve@there.test")  # the Collector is dead
            await smarthost.arrived(2)
            assert await asyncio.to_thread(product.stop) < STOP_SECONDS
    assert {(each.login, each.tls) for each in smarthost.messages} == {("relate", True)}
    for emitted in (receiver.everything(), product.output):
        assert "relate" in emitted
        assert secrets.find_in(emitted) == []
