import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relate_accounts.addresses import canonical_address, canonical_domain, without_detail
from relate_accounts.errors import InvalidAddress
from tests.support.examples import examples

bounded = settings(max_examples=examples(100))
local_parts = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9]{1,20})?", fullmatch=True)
domains = st.from_regex(r"[A-Za-z0-9]{1,12}(\.[A-Za-z0-9]{1,12}){0,3}", fullmatch=True)
addresses = st.builds("{}@{}".format, local_parts, domains)


@pytest.mark.parametrize(
    ("given_address", "canonical"),
    [
        pytest.param("Alice@Example.ORG", "alice@example.org", id="case"),
        pytest.param('"alice"@example.org', "alice@example.org", id="needless quotes"),
        pytest.param(r'"a\l\ice"@example.org', "alice@example.org", id="needless quoted pairs"),
        pytest.param('"Alice Liddell"@example.org', '"alice liddell"@example.org', id="needed quotes"),
        pytest.param('"a@b"@example.org', '"a@b"@example.org', id="quoted at"),
        pytest.param(r'"a\"b\\"@example.org', r'"a\"b\\"@example.org', id="needed quoted pairs"),
        pytest.param("Jo\u0308rg@example.org", "jörg@example.org", id="decomposed local part"),
        pytest.param("用户@例え。テスト", "用户@xn--r8jz45g.xn--zckzah", id="SMTPUTF8 with an ideographic full stop"),
        pytest.param("a@BU\u0308CHER.example", "a@xn--bcher-kva.example", id="decomposed domain"),
        pytest.param("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example", id="A-label"),
        pytest.param("a@straße.example", "a@xn--strae-oqa.example", id="IDNA 2008: sharp s is not ss"),
        pytest.param("a@localhost", "a@localhost", id="one label"),
        pytest.param("alice+Shop@example.org", "alice+shop@example.org", id="detail"),
    ],
)
def test_addresses_have_one_canonical_form(given_address: str, canonical: str) -> None:
    assert canonical_address(given_address) == canonical


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="empty"),
        pytest.param("postmaster", id="no domain"),
        pytest.param("@example.org", id="no local part"),
        pytest.param("alice@", id="empty domain"),
        pytest.param('""@example.org', id="empty quoted string"),
        pytest.param(".alice@example.org", id="leading dot"),
        pytest.param("a..b@example.org", id="two dots"),
        pytest.param("a b@example.org", id="bare space"),
        pytest.param("a\x00@example.org", id="NUL"),
        pytest.param('"a\nb"@example.org', id="line feed in quotes"),
        pytest.param("a\u200bb@example.org", id="zero-width space"),
        pytest.param("a\u202eb@example.org", id="right-to-left override"),
        pytest.param("a\ud800@example.org", id="lone surrogate"),
        pytest.param("a@[192.0.2.1]", id="address literal"),
        pytest.param("a@example.org.", id="trailing dot"),
        pytest.param("a@-example.org", id="leading hyphen"),
        pytest.param("a@exa_mple.org", id="underscore"),
        pytest.param("a@ex\x00ample.org", id="NUL in the domain"),
        pytest.param("a@\u2488com", id="not an IDN"),
        pytest.param("<a@example.org>", id="a path"),
    ],
)
def test_an_invalid_address_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        canonical_address(address)
    assert not address or address not in str(raised.value)
    assert raised.value.__cause__ is None


def test_length_limits_are_in_octets() -> None:
    assert canonical_address("a" * 64 + "@example.org")
    assert canonical_address("ä" * 32 + "@example.org")
    domain = ".".join(["d" * 61] * 3 + ["d" * 3])  # 189 octets
    assert len(canonical_address("a" * 64 + "@" + domain)) == 254
    for too_long in ("a" * 65 + "@example.org", "ä" * 33 + "@example.org", "a" * 64 + "@d" + domain):
        with pytest.raises(InvalidAddress):
            canonical_address(too_long)
    with pytest.raises(InvalidAddress):
        canonical_domain("d." * 127 + "de")
    with pytest.raises(InvalidAddress):
        canonical_domain("d" * 64 + ".example")


@bounded
@given(addresses)
def test_addresses_are_case_insensitive(address: str) -> None:
    assert canonical_address(address.upper()) == canonical_address(address.lower()) == canonical_address(address)


@bounded
@given(st.text(max_size=40), st.sampled_from(["example.org", "bücher.example"]))
@example("ΟΔΟΣ", "example.org")
@example("İ", "example.org")
@example("ᾈ\u0345", "example.org")
@example('"\u212b \\\\"', "example.org")
def test_canonicalisation_is_idempotent(local_part: str, domain: str) -> None:
    try:
        canonical = canonical_address(f"{local_part}@{domain}")
    except InvalidAddress:
        return
    assert canonical_address(canonical) == canonical
    assert len(canonical.encode()) <= 254


@bounded
@given(st.text(max_size=40))
def test_any_text_is_a_canonical_domain_or_invalid(text: str) -> None:
    try:
        canonical = canonical_domain(text)
    except InvalidAddress:
        return
    assert canonical.isascii()
    assert canonical_domain(canonical) == canonical


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("alice+shop@example.org", "alice@example.org"),
        ("alice+shop+2@example.org", "alice@example.org"),
        ("alice@example.org", None),
        ("+shop@example.org", None),
        ('"a +b"@example.org', None),
    ],
)
def test_the_detail_starts_at_the_first_plus(address: str, plain: str | None) -> None:
    assert without_detail(address) == plain
