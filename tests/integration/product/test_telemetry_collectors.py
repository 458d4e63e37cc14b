"""Export of telemetry: the operator configures it, and an unavailable collector does not affect mail."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.product.accounts import message
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS
from tests.support.product import ADDRESS, HOST, Product, reserve_port
from tests.support.telemetry.registry import CheckedReceiver

STOP_SECONDS = 8.0  # while the collector does not answer


@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_user_names_are_exported_according_to_the_setting(tmp_path: Path, mode: str) -> None:
    with CheckedReceiver() as receiver:
        with Product(
            tmp_path, Otel__Endpoint=receiver.endpoint, Otel__UserNames=mode, **SHORT_EXPORT_INTERVALS
        ) as product:
            key = product.add_user()
            product.start("pop3")
            with product.pop3(key=key):
                pass
        (login,) = receiver.spans("pop3.auth.validate")
        assert ("pop3.auth.user" in login.attributes) == (mode == "hash")
        assert login.resource["service.name"] == "relate-pop3"
        assert ADDRESS not in receiver.everything()


def test_mail_is_delivered_without_a_collector(tmp_path: Path) -> None:
    with ExitStack() as ports:
        refused = f"http://{HOST}:{reserve_port(ports)}"
        assert_mail_is_delivered(tmp_path, refused)


def test_mail_is_delivered_while_the_collector_never_answers(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        assert_mail_is_delivered(tmp_path, f"http://{HOST}:{silent.getsockname()[1]}")


def assert_mail_is_delivered(directory: Path, endpoint: str) -> None:
    with Product(directory, Otel__Endpoint=endpoint, **SHORT_EXPORT_INTERVALS) as product:
        key = product.add_user()
        product.start()
        for _ in range(20):
            with product.submission(key=key) as client:
                client.send_message(message(ADDRESS, ADDRESS), ADDRESS)
        with product.pop3(key=key) as reader:
            assert reader.stat()[0] == 20
        assert product.stop() < STOP_SECONDS
