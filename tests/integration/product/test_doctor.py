"""`relate doctor` and `relate domain` as an operator runs them, with a scripted name server."""

import json
import socket
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.zone
import pytest

from tests.support.dns import Behaviour, ScriptedDns, dns_in_thread
from tests.support.product import HOST, Product
from tests.support.relay.sink import Sink, in_thread

DOMAIN = "example.test"
SERVER = "mail.example.test"
ZONE = f"""
{SERVER} A 198.41.0.4
{DOMAIN} MX 10 {SERVER}
{DOMAIN} TXT "v=spf1 mx -all"
_dmarc.{DOMAIN} TXT "v=DMARC1; p=reject"
4.0.41.198.in-addr.arpa PTR {SERVER}
"""


@pytest.fixture
def asked() -> Iterator[ScriptedDns]:
    with dns_in_thread(ZONE) as server:
        yield server


@pytest.fixture
def product(tmp_path: Path, asked: ScriptedDns) -> Iterator[Product]:
    """A product that is not running, whose domain has keys."""
    settings = {"Relay__Enabled": "true", "Relay__Resolver": asked.server, "Smtp__ServerName": SERVER}
    with Product(tmp_path, **settings) as stopped:
        stopped.relate_json("domain", "add", DOMAIN, "--selector", "s")
        yield stopped


Findings = Mapping[str, dict[str, Any]]


def examine(product: Product, *options: str, **settings: str) -> Findings:
    done = product.relate_in_process("doctor", "--json", *options, **settings)
    return {finding["subject"]: finding for finding in json.loads(done.stdout)}


def levels(findings: Findings) -> dict[str, str]:
    """The levels of the findings about the domain."""
    return {subject: finding["level"] for subject, finding in findings.items() if DOMAIN in subject}


def publish(product: Product, asked: ScriptedDns, **changes: str) -> list[str]:
    """Publish the lines of DKIM records, some of them changed; returns their names."""
    names = []
    for line in product.relate_json("domain", "dns", DOMAIN):
        name, _, value = line.partition(". IN TXT ")
        if "_domainkey" in name:
            asked.add(f"{name} TXT {changes.get(name, value)}")
            names.append(name)
    return names


def test_a_domain_whose_records_are_published(product: Product, asked: ScriptedDns) -> None:
    rsa, ed25519 = publish(product, asked)
    found = examine(product)
    assert levels(found) == {
        "example.test keys": "ok",
        "example.test MX": "ok",
        "example.test SPF": found["example.test SPF"]["level"],  # this machine may have an address of its own
        rsa: "ok",
        ed25519: "ok",
        "example.test DMARC": "ok",
        "example.test postmaster": "warning",
    }


def test_a_key_behind_an_alias_is_found(product: Product, asked: ScriptedDns) -> None:
    name = publish(product, asked)[0]
    (value,) = (line.partition(" TXT ")[2] for line in product.relate_json("domain", "dns", DOMAIN) if name in line)
    asked.remove(name)
    asked.add(f"{name} CNAME key.provider.test\nkey.provider.test TXT {value}")
    assert levels(examine(product))[name] == "ok"


def test_what_is_missing_is_printed_as_lines_to_publish(product: Product, asked: ScriptedDns) -> None:
    for name in (DOMAIN, f"_dmarc.{DOMAIN}"):
        asked.remove(name)
    done = product.relate_in_process("doctor")
    assert done.exit_code == 1
    lines = done.stdout.partition("DNS records:\n")[2].splitlines()
    required = [line for line in product.relate_json("domain", "dns", DOMAIN) if " IN SRV " not in line]
    assert {*required} <= {*lines}


def test_a_long_word_is_not_cut(product: Product) -> None:
    done = product.relate("doctor", COLUMNS="60")
    assert "…" not in done.stdout
    assert all(len(line) <= 60 for line in done.stdout.partition("DNS records:")[0].splitlines())


def test_a_key_that_differs_is_an_error(product: Product, asked: ScriptedDns) -> None:
    (name, _) = publish(product, asked, **{"s._domainkey.example.test": '"v=DKIM1; k=rsa; p=QUJD"'})
    finding = examine(product)[name]
    assert (finding["level"], finding["healthy"]) == ("error", False)
    assert "another key" in finding["text"]
    (line,) = finding["records"]
    assert line in product.relate_json("domain", "dns", DOMAIN)


@pytest.mark.parametrize("behaviour", [Behaviour.SERVFAIL, Behaviour.SILENT])
def test_a_zone_that_fails_is_no_missing_record(product: Product, asked: ScriptedDns, behaviour: Behaviour) -> None:
    for name in (DOMAIN, f"_dmarc.{DOMAIN}", *publish(product, asked)):
        asked.behave(name, behaviour)
    found = examine(product)
    assert {*levels(found).values()} == {"ok", "warning"}  # of the key files, of the rest
    assert found["server name"]["level"] != "warning" or "mail leaves from" in found["server name"]["text"]


def test_a_name_server_that_is_silent_is_one_finding(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, Product(tmp_path) as product:
        silent.bind((HOST, 0))
        product.relate_json("domain", "add", DOMAIN)
        port = silent.getsockname()[1]
        resolver = {"Relay__Resolver": f"{HOST}:{port}", "Smtp__ServerName": SERVER, "Relay__Enabled": "true"}
        found = examine(product, **resolver)
        assert found["DNS"]["text"] == f"{HOST}:{port} does not answer"
        assert levels(found) == {"example.test keys": "ok"}
        assert "DNS" not in examine(product, "--no-dns", **resolver)


def test_the_dns_is_not_asked_unless_mail_leaves(product: Product, asked: ScriptedDns) -> None:
    assert levels(examine(product, Relay__Enabled="false")) == {}
    assert asked.questions == []
    found = examine(product, "--dns", Relay__Enabled="false")
    assert levels(found) == {
        "example.test MX": "ok",
        "example.test SPF": "ok",
        "s._domainkey.example.test": "error",  # before mail leaves, because they must be published by then
        "s-ed25519._domainkey.example.test": "error",
        "example.test DMARC": "ok",
        "example.test postmaster": "warning",
    }


def test_a_server_without_a_name_is_told_first(product: Product) -> None:
    found = examine(product, Smtp__ServerName="localhost")
    assert found["server name"]["level"] == "error"
    assert levels(found) == {"example.test keys": "ok"}


def test_a_wrong_setting_of_the_relay_is_named(product: Product) -> None:
    found = examine(product, Relay__TlsPolicy="example.test=perhaps")
    assert found["relay settings"]["level"] == "error"
    assert "Relay__TlsPolicy" in found["relay settings"]["text"]


def test_a_probe_connects_and_sends_no_mail(product: Product, asked: ScriptedDns) -> None:
    sink = Sink(host="127.0.0.2")
    asked.add("there.test MX 10 mx.there.test\nmx.there.test A 127.0.0.2")
    with in_thread(sink):
        settings = {"Relay__MxPort": str(sink.port), "Relay__PrivateDestinations": "allow"}
        found = examine(product, "--probe", "there.test", **settings, Relay__Enabled="false")
    assert found[f"port {sink.port} outwards"]["level"] == "ok"
    assert sink.commands == ["EHLO", "QUIT"]


def test_the_smarthost_is_connected_to(product: Product) -> None:
    sink = Sink(host="127.0.0.2")
    with in_thread(sink):
        found = examine(product, Relay__Smarthost=f"127.0.0.2:{sink.port}", Relay__SmarthostTls="may")
    assert found[f"smarthost 127.0.0.2:{sink.port}"]["level"] == "ok"
    assert not [subject for subject in found if "outwards" in subject or "PTR" in subject]
    assert sink.commands == ["EHLO", "QUIT"]


# --- relate domain


def test_the_lines_are_a_zone_file(product: Product) -> None:
    lines = product.relate_json("domain", "dns", DOMAIN)
    assert product.relate_in_process("domain", "dns", DOMAIN).stdout.splitlines() == lines
    text = "\n".join([f"$TTL 3600\n@ IN SOA {SERVER}. hostmaster 1 1 1 1 1\n@ IN NS {SERVER}.", *lines])
    zone = dns.zone.from_text(text, origin=f"{DOMAIN}.", relativize=False)
    texts = {name.to_text(omit_final_dot=True): texts_of(data) for name, _, data in zone.iterate_rdatas("TXT")}
    assert texts[DOMAIN] == "v=spf1 mx -all"
    assert texts[f"_dmarc.{DOMAIN}"] == "v=DMARC1; p=none; rua=mailto:postmaster@example.test"
    assert texts[f"s-ed25519._domainkey.{DOMAIN}"].startswith("v=DKIM1; k=ed25519; p=")
    assert len(b64decode(texts[f"s._domainkey.{DOMAIN}"].partition("p=")[2])) > 255  # in several strings
    assert [data.to_text() for *_, data in zone.iterate_rdatas("MX")] == [f"10 {SERVER}."]


def texts_of(data: Any) -> str:
    """The strings of a TXT record, joined."""
    return b"".join(data.strings).decode()


def test_a_server_without_a_name_has_no_mx(product: Product) -> None:
    done = product.relate("domain", "dns", DOMAIN, Smtp__ServerName="localhost")
    assert (done.returncode, "Smtp__ServerName" in done.stderr) == (0, True)


def test_a_smarthost_has_a_place_in_the_spf_record(product: Product) -> None:
    done = product.relate("domain", "dns", DOMAIN, Relay__Smarthost="smtp.provider.test:587")
    assert 'example.test. IN TXT "v=spf1 mx ?all"' in done.stdout.splitlines()
    assert "smtp.provider.test" in done.stderr


@pytest.mark.parametrize(
    "name", ["", "a b", "192.0.2.1", "[192.0.2.1]", "a-.test", "example.test.", "x" * 64 + ".test"]
)
def test_a_bad_name_adds_nothing(product: Product, name: str) -> None:
    before = product.relate_json("domain", "list")
    done = product.relate("domain", "add", name)
    assert (done.returncode, done.stderr) == (1, "relate: the domain is not a host name\n")
    assert product.relate_json("domain", "list") == before


def test_a_bad_selector_adds_nothing(product: Product) -> None:
    done = product.relate("domain", "add", "other.test", "--selector", "../x")
    assert (done.returncode, "selector" in done.stderr) == (1, True)
    assert [each["name"] for each in product.relate_json("domain", "list")] == [DOMAIN]


def test_an_existing_domain_is_not_changed(product: Product) -> None:
    before = product.relate_json("domain", "list")
    assert "local already" in product.relate("domain", "add", DOMAIN.upper()).stdout
    assert product.relate("domain", "add", DOMAIN, "--selector", "s").returncode == 1
    assert product.relate_json("domain", "list") == before


def test_an_internationalised_domain_is_in_a_labels(product: Product) -> None:
    assert product.relate_json("domain", "add", "Bücher.test", "--selector", "b")["name"] == "xn--bcher-kva.test"
    (first, *_) = product.relate_json("domain", "dns", "bücher.test")
    assert first == f"xn--bcher-kva.test. IN MX 10 {SERVER}."


def test_keys_are_published_before_they_sign(product: Product) -> None:
    def selectors() -> list[str]:
        (domain,) = product.relate_json("domain", "list")
        assert all(key["since"] for key in domain["selectors"])
        return [key["selector"] for key in domain["selectors"]]

    prepared = product.relate_json("domain", "add", DOMAIN, "--selector", "t", "--prepare")
    assert (selectors(), len(prepared["records"])) == (["s"], 2)
    assert product.relate_json("domain", "add", DOMAIN, "--selector", "t")["records"] == prepared["records"]
    assert selectors() == ["t", "s"]
    assert {*prepared["records"]} < {*product.relate_json("domain", "dns", DOMAIN)}
    assert product.relate("domain", "retire", DOMAIN, "t").returncode == 1  # it signs
    product.relate_json("domain", "retire", DOMAIN, "s")
    assert selectors() == ["t"]
    assert [path.name for path in (product.directory / "dkim").iterdir()] == [f"t._domainkey.{DOMAIN}"]
    assert product.relate("domain", "retire", DOMAIN, "s").returncode == 1


def test_an_interrupted_addition_is_repeated(product: Product) -> None:
    made = product.relate_json("domain", "add", "other.test", "--selector", "u", "--prepare")
    assert product.relate_json("domain", "add", "other.test", "--selector", "u") == made
