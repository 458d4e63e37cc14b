"""Exceptions are created where they are raised, because a module-level instance would keep the frames of each raise."""

import importlib
import pkgutil

import pytest

import relate_accounts
import relate_imap
import relate_mailstore
import relate_pop3
import relate_smtp
import relate_wire

PACKAGES = (relate_accounts, relate_imap, relate_mailstore, relate_pop3, relate_smtp, relate_wire)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__") and ".migrations" not in module.name
]


@pytest.mark.parametrize("name", MODULES)
def test_no_module_has_an_exception_instance(name: str) -> None:
    values = vars(importlib.import_module(name))
    assert [key for key, value in values.items() if isinstance(value, BaseException)] == []
