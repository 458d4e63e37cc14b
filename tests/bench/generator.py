"""The external load generator: a program that prints one line of JSON per run."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOMAIN_PATTERN = "user%d@example.test"
PASSWORD = "secret"


@dataclass(frozen=True)
class Generator:
    """A `mailload`-compatible program: `mailload SCENARIO --port N …` prints one JSON object."""

    path: Path

    def run(self, scenario: str, port: int, **options: object) -> dict[str, Any]:
        """Run one scenario; options are its flags (`per_conn=1` is `--per-conn 1`, True a flag without value)."""
        command = [str(self.path), scenario, "--port", str(port)]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        result: dict[str, Any] = json.loads(done.stdout)
        if result["errors"]:
            raise RuntimeError(f"{' '.join(command)}: {result['errors']} errors: {result['first_error']}")
        return result
