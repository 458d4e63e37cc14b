from pathlib import Path

import pytest

from relate_accounts.config import AccountsSettings
from relate_config.settings import ConfigurationError, load

SECRET = "0123456789abcdef0123456789abcdef"


def test_the_hash_secret_is_unset_by_default() -> None:
    assert load(AccountsSettings, {}).hash_secret() is None


def test_the_hash_secret_may_be_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    settings = load(AccountsSettings, {"Accounts__KeyHashSecret__File": str(file)})
    assert settings.hash_secret() == SECRET.encode()


def test_the_hash_secret_is_not_in_the_repr() -> None:
    settings = load(AccountsSettings, {"Accounts__KeyHashSecret": SECRET})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_an_error_names_the_variable_of_a_short_hash_secret() -> None:
    with pytest.raises(ConfigurationError, match="Accounts__KeyHashSecret") as raised:
        load(AccountsSettings, {"Accounts__KeyHashSecret": "too short to be one"})
    assert "too short to be one" not in str(raised.value)
