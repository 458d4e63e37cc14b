"""`make fuzz`: a soak test with mutated inputs on all CPUs, deterministic for a seed.

    python -m tests.fuzz [--inputs 1000000] [--seed 1] [--target "a message"]

A failing input is saved in tests/fuzz/seeds/<function>/, and every later run and `make test` try it first.
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

INPUTS_PER_TASK = 5_000


def main() -> int:
    """Run the soak, print and save the failures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in total, divided evenly between the functions")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the mutations; printed")
    parser.add_argument("--target", choices=list(UNTRUSTED), help="one function instead of all")
    options = parser.parse_args()
    targets = [options.target] if options.target else list(UNTRUSTED)
    count = ceil(options.inputs / len(targets))
    tasks = [
        (target, min(INPUTS_PER_TASK, count - start), options.seed + start)
        for start in range(0, count, INPUTS_PER_TASK)
        for target in targets
    ]
    print(f"{sum(count for _, count, _ in tasks):,} inputs, seed {options.seed}", flush=True)
    start_seconds, failures = time.monotonic(), list[Failure]()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for found in processes.map(soak, *zip(*tasks, strict=True)):
            failures.extend(found)
            for failure in found:
                print(f"{failure.target}: {failure.reason}\n  saved as {save(failure)}", flush=True)
    print(f"{len(failures)} failures in {time.monotonic() - start_seconds:.0f} s")
    return 1 if failures else 0


def save(failure: Failure) -> str:
    """Save the input of a failure as a seed; returns its path."""
    path = SEEDS / failure.target.replace(" ", "-") / hashlib.sha256(failure.octets).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(failure.octets)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
