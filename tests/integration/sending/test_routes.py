"""Where mail goes by the DNS (RFC 5321 §5.1), from the zone to the queue."""

from tests.integration.sending.conftest import Home
from tests.support.dns import Behaviour
from tests.support.relay.internet import Internet
from tests.support.relay.sink import CLOSE, Sink
from tests.support.relay.system import NEVER_AGAIN, SERVER_NAME


def receivers(sinks: dict[str, Sink]) -> dict[str, str]:
    """The server that got the mail of each domain."""
    return {
        to.address.partition("@")[2]: name
        for name, sink in sinks.items()
        for each in sink.messages
        for to in each.recipients
    }


async def test_mail_goes_to_the_server_that_the_dns_names(any_home: Home, internet: Internet) -> None:
    sinks = {name: await internet.server(name) for name in ("one.test", "two.test", "xn--mx-eka.test")}
    await internet.server("closed.test", {"GREETING": CLOSE})
    one, two = sinks["one.test"].host, sinks["two.test"].host
    internet.dns.add(
        f"""
        preferred.test MX 20 two.test
        preferred.test MX 10 one.test
        fallback.test MX 10 closed.test
        fallback.test MX 20 two.test
        implicit.test A {one}
        alias.test CNAME preferred.test
        xn--bcher-kva.test MX 10 xn--mx-eka.test
        six.test MX 10 mx.six.test
        mx.six.test AAAA ::1
        mx.six.test A {two}
        half.test MX 10 mx.half.test
        mx.half.test A {internet.dead_address}
        mx.half.test A {two}
        above.test MX 10 two.test
        above.test MX 20 {SERVER_NAME}
        """
    )
    expected = {
        "preferred.test": "one.test",
        "fallback.test": "two.test",
        "implicit.test": "one.test",
        "alias.test": "one.test",
        "bücher.test": "xn--mx-eka.test",
        "six.test": "two.test",  # whose IPv6 address refuses connections
        "half.test": "two.test",
        "above.test": "two.test",
    }
    async with any_home.system(internet, schedule=NEVER_AGAIN).running() as system:  # all in the first attempt
        for domain in expected:
            await system.submit(f"bob@{domain}", is_utf8=not domain.isascii())
        await system.until(system.is_empty)
        assert await system.reports() == []
    assert receivers(sinks) == expected


async def test_what_the_dns_denies_fails_and_what_it_does_not_say_waits(any_home: Home, internet: Internet) -> None:
    internet.dns.add(
        f"""
        null.test MX 0 .
        loop.test MX 10 {SERVER_NAME}
        hostless.test MX 10 missing.hostless.test
        broken.test MX 10 mx.broken.test
        circle.test CNAME round.test
        round.test CNAME circle.test
        liar.test MX 10 mx.liar.test
        cut.test MX 10 mx.cut.test
        """
    )
    internet.dead_domain("dead.test")
    internet.dns.behave("broken.test", Behaviour.SERVFAIL)
    internet.dns.behave("liar.test", Behaviour.ANSWER_AND_NXDOMAIN)
    internet.dns.behave("cut.test", Behaviour.TRUNCATED_UNTIL_THE_END)
    expected = {
        "null.test": ("failed", "5.1.10"),
        "loop.test": ("failed", "5.4.6"),
        "missing.test": ("failed", "5.1.2"),
        "hostless.test": ("failed", "5.4.4"),
        "broken.test": ("queued", "4.4.3"),
        "circle.test": ("queued", "4.4.3"),
        "liar.test": ("queued", "4.4.3"),
        "cut.test": ("queued", "4.4.3"),
        "dead.test": ("queued", "4.4.1"),
    }
    async with any_home.system(internet, schedule=NEVER_AGAIN).running() as system:
        await system.submit(*(f"bob@{domain}" for domain in expected))
        await system.until(system.is_attempted)
        found = {row.domain: (row.state.value, row.status) for row in (await system.rows()).values()}
    assert found == expected


SILENT = (Behaviour.SILENT, Behaviour.WRONG_ID, Behaviour.WRONG_QUESTION)


async def test_a_name_server_that_never_answers_delays_no_other_domain(any_home: Home, internet: Internet) -> None:
    lost = [f"bob@{behaviour.name.lower().replace('_', '-')}.test" for behaviour in SILENT]
    for address, behaviour in zip(lost, SILENT, strict=True):
        await internet.domain(address.partition("@")[2])
        internet.dns.behave(address.partition("@")[2], behaviour)
    other = await internet.domain("there.test")

    async def has_left() -> bool:
        return "bob@there.test" not in await system.rows()

    async with any_home.system(internet, schedule=NEVER_AGAIN).running() as system:
        for address in (*lost, "bob@there.test"):
            await system.submit(address)
        await system.until(has_left)
        assert (await system.states()) == dict.fromkeys(lost, "leased")  # still waiting for an answer
        await system.until(system.is_attempted)
        assert {row.status for row in (await system.rows()).values()} == {"4.4.3"}
    assert len(other.messages) == 1
