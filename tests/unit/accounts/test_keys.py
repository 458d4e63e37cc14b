import hashlib
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_accounts.keys import KEY_MARKER, PREFIX_CHARACTERS, generate_key, identify, same_hash
from tests.support.examples import examples

HASH_SECRET = b"s" * 32
bounded = settings(max_examples=examples(100))


def test_a_key_has_the_marker_and_is_url_safe() -> None:
    key = generate_key()
    assert key.startswith(KEY_MARKER)
    assert len(key) == len(KEY_MARKER) + 43
    assert key.isascii()
    assert key.replace("-", "").replace("_", "").isalnum()


def test_keys_are_unique() -> None:
    assert len({generate_key() for _ in range(1_000)}) == 1_000


def test_the_prefix_is_the_beginning_of_a_key_without_184_bits() -> None:
    key = generate_key()
    assert identify(key, HASH_SECRET).prefix == key[:PREFIX_CHARACTERS]
    assert (len(key) - PREFIX_CHARACTERS) * 6 - 2 == 184  # the last character carries four bits


def test_the_hash_is_hmac_sha256_under_the_secret() -> None:
    key = generate_key()
    assert identify(key, HASH_SECRET).hash == hmac.new(HASH_SECRET, key.encode(), hashlib.sha256).digest()
    assert identify(key, b"t" * 32).hash != identify(key, HASH_SECRET).hash


@bounded
@given(st.text(st.characters(), max_size=60))
def test_any_text_has_an_identity_that_does_not_contain_it(secret: str) -> None:
    prefix, key_hash = identify(secret, HASH_SECRET)
    assert len(prefix) == PREFIX_CHARACTERS
    assert len(key_hash) == 32
    assert prefix.isascii()
    assert prefix.isprintable()
    assert len(secret) < 8 or secret not in prefix  # a shorter one may be in the hash by chance


@bounded
@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_different_texts_have_different_hashes(one: str, other: str) -> None:
    assert same_hash(identify(one, HASH_SECRET).hash, identify(other, HASH_SECRET).hash) == (one == other)


def test_the_prefix_of_a_malformed_key_is_its_hash() -> None:
    assert not identify("rm_short-password", HASH_SECRET).prefix.startswith(KEY_MARKER)
