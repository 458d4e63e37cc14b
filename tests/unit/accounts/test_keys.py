import hashlib
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_accounts.keys import KEY_MARKER, PREFIX_CHARACTERS, generate_key, identify, same_hash
from tests.support.examples import examples

HASH_SECRET = b"s" * 32
bounded = settings(max_examples=examples(100))


def test_a_key_is_recognisable_and_fits_into_a_url() -> None:
    key = generate_key()
    assert key.startswith(KEY_MARKER)
    assert len(key) == len(KEY_MARKER) + 43
    assert key.isascii()
    assert key.replace("-", "").replace("_", "").isalnum()


def test_keys_do_not_repeat() -> None:
    assert len({generate_key() for _ in range(1_000)}) == 1_000


def test_the_prefix_of_a_key_is_its_beginning_and_leaves_184_bits_unknown() -> None:
    key = generate_key()
    assert identify(key, HASH_SECRET).prefix == key[:PREFIX_CHARACTERS]
    assert (len(key) - PREFIX_CHARACTERS) * 6 - 2 == 184  # the last character carries four bits


def test_the_hash_is_hmac_sha256_under_the_secret() -> None:
    key = generate_key()
    assert identify(key, HASH_SECRET).hash == hmac.new(HASH_SECRET, key.encode(), hashlib.sha256).digest()
    assert identify(key, b"t" * 32).hash != identify(key, HASH_SECRET).hash


@bounded
@given(st.text(st.characters(), max_size=60))
def test_any_text_has_an_identity_that_can_be_stored_and_does_not_show_it(secret: str) -> None:
    prefix, key_hash = identify(secret, HASH_SECRET)
    assert len(prefix) == PREFIX_CHARACTERS
    assert len(key_hash) == 32
    assert prefix.isascii()
    assert prefix.isprintable()
    assert len(secret) < 8 or secret not in prefix  # a shorter one may be there by chance


@bounded
@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_different_texts_have_different_hashes(one: str, other: str) -> None:
    assert same_hash(identify(one, HASH_SECRET).hash, identify(other, HASH_SECRET).hash) == (one == other)


def test_what_only_begins_like_a_key_is_not_shown_by_its_prefix() -> None:
    assert not identify("rm_short-password", HASH_SECRET).prefix.startswith(KEY_MARKER)
