"""Push messages are encrypted as RFC 8291 says, and the key of the server is shown as RFC 8292 says."""

import base64

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from relate_api.push.encryption import BLOCK_OCTETS, MAX_MESSAGE_OCTETS, MAX_TEXT_OCTETS, Fresh, encrypt, parse_keys
from relate_api.push.vapid import TOKEN_SECONDS, VapidKey, make_key
from tests.support.push_browser import SOME_BROWSER, Browser, decode, encode

BROWSER = SOME_BROWSER


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decode(text)), ec.SECP256R1())


def test_the_message_of_rfc_8291_appendix_a_is_reproduced() -> None:
    browser = Browser(private_key("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), decode("BTBZMqHH6r4Tts7J_aSIgg"))
    fresh = Fresh(private_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), decode("DGv6ra1nlYgDCS1FRnbzlw"))
    message = encrypt(b"When I grow up, I want to be a watermelon", browser.keys, fresh, pad=False)
    assert encode(message) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.decrypt(message) == b"When I grow up, I want to be a watermelon"


@given(st.binary(max_size=MAX_TEXT_OCTETS).map(lambda text: text.rstrip(b"\0\2") + b"."))
def test_a_browser_reads_every_text(text: bytes) -> None:
    message = encrypt(text[-MAX_TEXT_OCTETS:], BROWSER.keys)
    assert len(message) <= MAX_MESSAGE_OCTETS
    assert (len(message) - 102) % BLOCK_OCTETS == 0
    assert BROWSER.decrypt(message) == text[-MAX_TEXT_OCTETS:]


def test_a_longer_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="too long"):
        encrypt(bytes(MAX_TEXT_OCTETS + 1), BROWSER.keys)


def test_no_other_browser_reads_it() -> None:
    with pytest.raises(InvalidTag):
        Browser().decrypt(encrypt(b"secret", BROWSER.keys))


def test_messages_have_keys_and_salts_of_their_own() -> None:
    one, other = encrypt(b"the same", BROWSER.keys), encrypt(b"the same", BROWSER.keys)
    assert one[:16] != other[:16]
    assert one[21:86] != other[21:86]


def test_keys_are_accepted_in_base64_too() -> None:
    p256dh, auth = (base64.b64encode(decode(key)).decode() for key in BROWSER.keys)
    assert parse_keys(p256dh, auth) == BROWSER.keys


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", BROWSER.keys.auth),
        (encode(bytes(65)), BROWSER.keys.auth),
        (encode(b"\4" + bytes(64)), BROWSER.keys.auth),  # not on the curve
        (encode(b"\2" + decode(BROWSER.keys.p256dh)[1:33]), BROWSER.keys.auth),  # compressed
        (BROWSER.keys.p256dh, ""),
        (BROWSER.keys.p256dh, encode(bytes(15))),
        (BROWSER.keys.p256dh + "A", BROWSER.keys.auth),
    ],
)
def test_malformed_keys_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_keys(p256dh, auth)


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://push.example.net/send/abc?x=1", "https://push.example.net"),
        ("https://PUSH.example.net:443/", "https://push.example.net"),
        ("https://push.example.net:8443/", "https://push.example.net:8443"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_token_is_for_the_push_service_for_half_a_day(endpoint: str, origin: str) -> None:
    key = VapidKey(make_key(), "mailto:postmaster@example.org")
    scheme, _, parameters = key.authorization(endpoint, 1_000_000.5).partition(" ")
    values = dict(each.split("=", 1) for each in parameters.split(", "))
    point = decode(values["k"])
    assert (scheme, len(point), point[:1], values["k"]) == ("vapid", 65, b"\4", key.public)
    public = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])})
    token = jwt.decode(values["t"], public, algorithms=["ES256"])
    assert token.claims == {"aud": origin, "exp": 1_000_000 + TOKEN_SECONDS, "sub": "mailto:postmaster@example.org"}
