"""What leaves the process is up to its operator, and a collector that is no help is never in the way."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.product.accounts import message
from tests.integration.product.scenario_results import QUICK
from tests.support.product import ADDRESS, HOST, Product, reserve_port
from tests.support.telemetry.receiver import OtlpReceiver

STOP_SECONDS = 8.0  # of a server whose collector does not answer


@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_user_names_are_told_as_far_as_wanted(tmp_path: Path, mode: str) -> None:
    with OtlpReceiver() as seen:
        with Product(tmp_path, Otel__Endpoint=seen.endpoint, Otel__UserNames=mode, **QUICK) as product:
            key = product.add_user()
            product.start("pop3")
            with product.pop3(key=key):
                pass
        (login,) = seen.spans("pop3.auth.validate")
        assert ("pop3.auth.user" in login.attributes) == (mode == "hash")
        assert login.resource["service.name"] == "relate-pop3"
        assert ADDRESS not in seen.everything()


def test_mail_goes_on_without_a_collector(tmp_path: Path) -> None:
    with ExitStack() as until:
        refused = f"http://{HOST}:{reserve_port(until)}"
        assert_mail_goes_on(tmp_path, refused)


def test_mail_goes_on_in_front_of_a_collector_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        assert_mail_goes_on(tmp_path, f"http://{HOST}:{silent.getsockname()[1]}")


def assert_mail_goes_on(directory: Path, endpoint: str) -> None:
    with Product(directory, Otel__Endpoint=endpoint, **QUICK) as product:
        key = product.add_user()
        product.start()
        for _ in range(20):
            with product.submission(key=key) as client:
                client.send_message(message(ADDRESS, ADDRESS), ADDRESS)
        with product.pop3(key=key) as reader:
            assert reader.stat()[0] == 20
        assert product.stop() < STOP_SECONDS
