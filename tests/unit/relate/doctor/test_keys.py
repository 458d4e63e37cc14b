"""Whether the private keys are there, and those of the published records."""

from pathlib import Path

from relate.doctor.keys import check_keys
from relate_accounts.types import DomainKey
from relate_relay.dkim.key_directory import KeyDirectory
from relate_relay.dkim.keys import public_record
from relate_service.findings import Level


async def test_the_newest_keys_must_be_usable(tmp_path: Path) -> None:
    directory = tmp_path / "dkim"
    pair = KeyDirectory(directory).generate("example.test", "s")
    made = [key for key in (pair.rsa, pair.ed25519) if key is not None]
    key = DomainKey("example.test", "s", {each.record_name: public_record(each) for each in made})
    other = DomainKey("example.test", "s", {made[0].record_name: public_record(made[0])})
    missing = DomainKey("example.test", "lost", {})

    async def level(*keys: DomainKey) -> tuple[Level, str]:
        (finding,) = await check_keys(directory, {"example.test": keys})
        return finding.level, finding.text

    assert await level(key, missing) == (Level.OK, "selector s signs")
    assert (await level())[0] is Level.WARNING
    assert (await level(other))[0] is Level.ERROR
    assert (await level(missing, key))[0] is Level.ERROR
    directory.chmod(0o755)
    exposed, text = await level(key)
    assert (exposed, "chmod 700" in text) == (Level.ERROR, True)
