"""How the Python that runs was built: the figures of an optimised build are those of the images."""

import platform
import sysconfig


def describe_python() -> str:
    """Version and optimisation of the Python that runs, for the header of the results."""
    flags = " ".join(
        str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS", "PY_CORE_CFLAGS")
    )
    kind = "" if is_optimised(flags) else "not "
    return f"{platform.python_implementation()} {platform.python_version()}, {kind}built with optimisations (PGO)"


def is_optimised(flags: str) -> bool:
    """Whether the build used a profile, given the arguments of configure and the flags of the compiler."""
    return "--enable-optimizations" in flags or "-fprofile-use" in flags
