"""`make fuzz`: a soak of mutated inputs, on all CPUs, the same for the same seed.

    python -m tests.fuzz [--inputs 1000000] [--seed 1] [--target "a message"]

A failing input is written to tests/fuzz/seeds/<function>/, where every later run and `make test` try it.
"""

import argparse
import hashlib
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from math import ceil

from tests.fuzz.soak import SEEDS, Failure, soak
from tests.support.untrusted import UNTRUSTED

INPUTS_A_TASK = 5_000


def main() -> int:
    """Try, print, and keep what failed; the exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all, shared out evenly")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the mutations; printed")
    parser.add_argument("--target", choices=list(UNTRUSTED), help="one function instead of all")
    options = parser.parse_args()
    targets = [options.target] if options.target else list(UNTRUSTED)
    count = ceil(options.inputs / len(targets))
    tasks = [
        (target, min(INPUTS_A_TASK, count - start), options.seed + start)
        for start in range(0, count, INPUTS_A_TASK)
        for target in targets
    ]
    print(f"{sum(count for _, count, _ in tasks):,} inputs, seed {options.seed}", flush=True)
    began, failures = time.monotonic(), list[Failure]()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for found in processes.map(soak, *zip(*tasks, strict=True)):
            failures.extend(found)
            for failure in found:
                print(f"{failure.target}: {failure.reason}\n  kept as {keep(failure)}", flush=True)
    print(f"{len(failures)} failures in {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


def keep(failure: Failure) -> str:
    """Write the input of a failure where later runs find it; the path."""
    path = SEEDS / failure.target.replace(" ", "-") / hashlib.sha256(failure.octets).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(failure.octets)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
