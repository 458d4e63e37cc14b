"""A scripted DNS server on loopback, UDP and TCP, that answers like a recursive resolver, or misbehaves by name.

    async with ScriptedDns("example.test MX 10 mx.example.test\\nmx.example.test A 192.0.2.1") as dns:
        dns.behave("mx.example.test", Behaviour.SERVFAIL)
        Resolver(parse_resolver(dns.server))
        assert dns.count("example.test", "MX") == 1

`dns_in_thread` runs one for tests without an event loop, and for products in other processes.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

HOST = "127.0.0.1"
DEFAULT_TTL_SECONDS = 300
MIN_UDP_OCTETS = 512
MAX_TCP_OCTETS = 65_535
MAX_CHAIN_NAMES = 20
BIND_TRIES = 20
NOISE = b"\xff" * 40


class Behaviour(Enum):
    """What the server does with a question, over both transports unless it says otherwise."""

    ANSWER = auto()
    SERVFAIL = auto()
    REFUSED = auto()
    NOTIMP = auto()
    YXDOMAIN = auto()
    SILENT = auto()
    """Never answers."""
    TRUNCATED = auto()
    """Over UDP an empty answer with TC; over TCP the whole one."""
    TRUNCATED_UNTIL_THE_END = auto()
    """Over UDP an empty answer with TC; over TCP the connection is closed without an answer."""
    GARBAGE = auto()
    """The right ID, then noise."""
    OVERLONG = auto()
    """Over UDP an empty answer with TC; over TCP an answer of 65,535 octets is announced, and its beginning sent."""
    WRONG_ID = auto()
    WRONG_QUESTION = auto()
    FORGED_FIRST = auto()
    """Over UDP noise, an answer with a wrong ID, and one for another name come before the answer."""
    UNCHASED = auto()
    """Of a chain of CNAME records only the first, as some name servers answer."""
    ANSWER_AND_NXDOMAIN = auto()
    """The records, with the response code of a name that does not exist."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Answers after a time."""

    seconds: float


class Hold:
    """Answers after `release`. `arrived` is set when a question waits."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let all questions be answered."""
        self._released.set()

    async def wait(self) -> None:
        """Wait for `release`."""
        self.arrived.set()
        await self._released.wait()


Script = Behaviour | Delay | Hold
Key = tuple[dns.name.Name, RdataType | None]


class ScriptedDns:
    """The server. A line of a zone is `name [ttl] type data`; all names are absolute, with or without a final dot.

    A name without records, and without names below it, does not exist. `negative_ttl` is the SOA minimum in seconds.
    """

    def __init__(self, zone: str = "", *, negative_ttl: int = 60, host: str = HOST, port: int = 0) -> None:
        self.host = host
        self.port = port
        self.questions: list[tuple[str, str, str]] = []
        """Name in lower case, type, and "udp" or "tcp" of each question, retries included."""
        self.negative_ttl = negative_ttl
        self._records: dict[dns.name.Name, dict[RdataType, dns.rrset.RRset]] = {}
        self._scripts: dict[Key, list[Script]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self.add(zone)

    # --- the script

    @property
    def server(self) -> str:
        """The value of `Relay__Resolver`."""
        return f"{self.host}:{self.port}"

    def add(self, zone: str) -> None:
        """Add records; those of a name and type that exist already are added to them."""
        for line in filter(None, map(str.strip, zone.splitlines())):
            owner, *rest = line.split(None, 1)
            ttl, data = DEFAULT_TTL_SECONDS, rest[0]
            if data[0].isdigit():
                first, data = data.split(None, 1)
                ttl = int(first)
            rdtype, _, text = data.partition(" ")
            self._add(_name(owner), ttl, RdataType.make(rdtype), text)

    def _add(self, name: dns.name.Name, ttl: int, rdtype: RdataType, text: str) -> None:
        rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, origin=dns.name.root, relativize=False)
        sets = self._records.setdefault(name, {})
        if rdtype not in sets:
            sets[rdtype] = dns.rrset.RRset(name, dns.rdataclass.IN, rdtype)
        sets[rdtype].add(rdata, ttl)

    def remove(self, name: str, rdtype: str | None = None) -> None:
        """Remove the records of a name, or those of one type."""
        if rdtype is None:
            self._records.pop(_name(name), None)
        else:
            self._records.get(_name(name), {}).pop(RdataType.make(rdtype), None)

    def behave(self, name: str, *scripts: Script, rdtype: str | None = None) -> None:
        """Set what happens to the next questions for a name, of all types or one: one script each, the last repeats.

        Without a script the server answers again.
        """
        key = (_name(name), None if rdtype is None else RdataType.make(rdtype))
        self._scripts[key] = list(scripts or (Behaviour.ANSWER,))

    def count(self, name: str, rdtype: str) -> int:
        """The number of questions for a name and type."""
        return sum(question[:2] == (name, rdtype) for question in self.questions)

    # --- the server

    async def __aenter__(self) -> Self:
        loop, wanted = asyncio.get_running_loop(), self.port
        for tries_left in reversed(range(BIND_TRIES)):
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(self.host, wanted))
            self.port = self._udp.get_extra_info("sockname")[1]
            try:  # the port that is free for UDP may be in use for TCP
                self._tcp = await asyncio.start_server(self._accept, self.host, self.port)
                break
            except OSError:
                self._udp.close()
                if not tries_left:
                    raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._udp is not None
        assert self._tcp is not None
        self._udp.close()
        self._tcp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, work: Any) -> None:
        """Run a coroutine until it ends or the server closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve_datagram(self, query: bytes, send: Callable[[bytes], None]) -> None:
        """Answer one datagram."""
        request = _parse(query)
        if request is None:
            return
        script = await self._next_script(request, "udp")
        if script is Behaviour.SILENT:
            return
        if script is Behaviour.FORGED_FIRST:
            for forged in _forged(request):
                send(forged)
        truncated = (Behaviour.TRUNCATED, Behaviour.TRUNCATED_UNTIL_THE_END, Behaviour.OVERLONG)
        answer = _to_wire(self._respond(request, script), max(request.payload, MIN_UDP_OCTETS))
        send(_truncated(request) if answer is None or script in truncated else answer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.start(self._serve_tcp(reader, writer))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                    if not await self._answer_tcp(query, writer):
                        break
        finally:
            writer.close()

    async def _answer_tcp(self, query: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one message; returns whether the connection stays open."""
        request = _parse(query)
        if request is None:
            return False
        script = await self._next_script(request, "tcp")
        if script is Behaviour.SILENT:
            return True
        if script is Behaviour.TRUNCATED_UNTIL_THE_END:
            return False
        if script is Behaviour.OVERLONG:
            writer.write(MAX_TCP_OCTETS.to_bytes(2) + NOISE)
        else:
            answer = _to_wire(self._respond(request, script), MAX_TCP_OCTETS)
            assert answer is not None, "the zone has an answer that no transport can carry"
            writer.write(len(answer).to_bytes(2) + answer)
        await writer.drain()
        return True

    async def _next_script(self, request: dns.message.Message, transport: str) -> Script:
        question = request.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.questions.append((name, question.rdtype.name, transport))
        scripts = self._scripts.get((question.name, question.rdtype)) or self._scripts.get((question.name, None))
        script = (scripts.pop(0) if len(scripts) > 1 else scripts[0]) if scripts else Behaviour.ANSWER
        if isinstance(script, Delay):
            await asyncio.sleep(script.seconds)
        elif isinstance(script, Hold):
            await script.wait()
        return script

    def _respond(self, request: dns.message.Message, script: Script) -> dns.message.Message | bytes:
        response = dns.message.make_response(request, recursion_available=True)
        match script:
            case Behaviour.SERVFAIL | Behaviour.REFUSED | Behaviour.NOTIMP | Behaviour.YXDOMAIN:
                response.set_rcode(dns.rcode.Rcode[script.name])
                return response
            case Behaviour.GARBAGE:
                return request.id.to_bytes(2) + NOISE.replace(b"\xff\xff", b"\x81\x80", 1)
        self._fill(response, chase=script is not Behaviour.UNCHASED)
        match script:
            case Behaviour.WRONG_ID:
                response.id ^= 1
            case Behaviour.WRONG_QUESTION:
                response.question[0].name = _name("other.test")
            case Behaviour.ANSWER_AND_NXDOMAIN:
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _fill(self, response: dns.message.Message, *, chase: bool) -> None:
        name, rdtype = response.question[0].name, response.question[0].rdtype
        for _ in range(MAX_CHAIN_NAMES):
            sets = self._records.get(name, {})
            if rdtype in sets:
                response.answer.append(sets[rdtype])
                return
            if RdataType.CNAME not in sets:
                break
            if sets[RdataType.CNAME] not in response.answer:
                response.answer.append(sets[RdataType.CNAME])
            if not chase:
                return
            name = sets[RdataType.CNAME][0].target
        else:
            return  # a loop
        if not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.test. admin.test. 1 3600 600 86400 {self.negative_ttl}"
        response.authority.append(dns.rrset.from_text(".", DEFAULT_TTL_SECONDS, "IN", "SOA", soa))

    def _exists(self, name: dns.name.Name) -> bool:
        return any(owner.is_subdomain(name) and self._records[owner] for owner in list(self._records))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: ScriptedDns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        transport = self._transport
        assert transport is not None
        self._server.start(self._server.serve_datagram(data, lambda answer: transport.sendto(answer, addr)))


@contextmanager
def dns_in_thread(zone: str = "", *, negative_ttl: int = 60, host: str = HOST, port: int = 0) -> Iterator[ScriptedDns]:
    """Run a server in a thread with an event loop of its own. `Hold` belongs to that loop: use `Delay` here."""
    server = ScriptedDns(zone, negative_ttl=negative_ttl, host=host, port=port)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="scripted DNS")
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def _parse(query: bytes) -> dns.message.Message | None:
    try:
        request = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return None
    return request if len(request.question) == 1 else None


def _to_wire(response: dns.message.Message | bytes, max_octets: int) -> bytes | None:
    """The octets of a response; None if it is too long."""
    if isinstance(response, bytes):
        return response
    try:
        return response.to_wire(max_size=max_octets)
    except dns.exception.TooBig:
        return None


def _truncated(request: dns.message.Message) -> bytes:
    response = dns.message.make_response(request, recursion_available=True)
    response.flags |= dns.flags.TC
    return response.to_wire()


def _forged(request: dns.message.Message) -> Iterator[bytes]:
    """Forge datagrams to the port of the client."""
    question = request.question[0]
    yield request.id.to_bytes(2) + NOISE
    for wrong_id, name in ((True, question.name), (False, _name("other.test"))):
        response = dns.message.make_response(request, recursion_available=True)
        response.id ^= wrong_id
        response.question = [dns.rrset.RRset(name, question.rdclass, question.rdtype)]
        if question.rdtype is RdataType.A:
            response.answer.append(dns.rrset.from_text(name, DEFAULT_TTL_SECONDS, "IN", "A", "203.0.113.66"))
        yield response.to_wire()
