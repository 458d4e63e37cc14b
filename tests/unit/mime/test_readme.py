"""The example of the README."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[3] / "shared" / "mime" / "README.md"


def test_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    subprocess.run([sys.executable, "-c", example], check=True)
