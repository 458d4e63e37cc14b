"""Sequences of requests to the API of a running product: schemathesis follows the links between operations.

A response of an operation is a parameter of the next: what a list names is read, changed and deleted, in any order. No
sequence may be answered with 5xx, or with a response that the OpenAPI document does not describe.
"""

import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.examples import examples
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
FEW_SEQUENCES, MANY_SEQUENCES = 5, 300
MESSAGES = 5
LEFT_OUT = (
    "positive_data_acceptance",  # the schema cannot express which cursors are valid
    "ignored_auth",  # the many wrong keys of one address are limited
)
# A stream has no end, and webhooks and push services would be at hosts that the test has made up.
LEFT_OUT_PATHS = "^/api/(events|webhooks|pushsubscriptions)"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sequences", [FEW_SEQUENCES, pytest.param(MANY_SEQUENCES, marks=pytest.mark.long)])
@pytest.mark.parametrize("product", DATABASES, indirect=True)
def test_no_sequence_of_requests_contradicts_the_openapi_document(
    product: Product, alice: Account, sequences: int, tmp_path: Path
) -> None:
    with smtplib.SMTP(HOST, product.ports["Smtp__MxPort"], timeout=TIMEOUT_SECONDS) as client:
        for number in range(MESSAGES):
            client.send_message(message("zoe@elsewhere.test", alice.address, subject=f"Lunch {number}"))
    # Its own process: the runner begins again where the server's state makes Hypothesis' generation inconsistent.
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{product.api_url}/openapi.json",
        "--no-shrink",
        "--no-color",
    ]
    options = {
        "--phases": "stateful",
        "--max-examples": str(examples(sequences)),
        "--header": f"Authorization: Bearer {alice.key}",
        "--exclude-path-regex": LEFT_OUT_PATHS,
        "--exclude-checks": ",".join(LEFT_OUT),
        "--request-timeout": str(TIMEOUT_SECONDS),
        "--seed": "1",
    }
    words = [word for option in options.items() for word in option]
    ran = subprocess.run([*command, *words], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    print(ran.stdout)
