"""The machine, the packages and the commit of a job: for records, the page and model cards."""

import os
import platform
import re
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "redistil", "torch", "transformers", "tokenizers", "ranx", "scipy", "numpy", "pyarrow",
    "snakemake", "dvc",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Return hardware, Python and the packages that matter for the numbers."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    hardware = {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    return hardware | {package: _version(package) for package in _PACKAGES}


def peak_memory(device: Any) -> int:
    """Return the bytes that this process had at most in memory, or on its GPU."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def processor() -> str:
    """Return the name of the CPU; Linux keeps it where `platform` does not look."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_LIBRARIES = {"MKL": r"Math Kernel Library Version (\S+?)-", "oneDNN": r"MKL-DNN v(\S+)"}
_CHOOSING = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


def kernels() -> dict[str, str]:
    """Return what decides the last digits of torch's arithmetic on this CPU.

    These are the instructions of torch's own loops; the versions of the libraries that multiply
    matrices; and the variables that make these take other instructions.
    """
    import torch

    facts = {"instructions": torch.backends.cpu.get_cpu_capability()}
    built = torch.__config__.show()
    for library, pattern in _LIBRARIES.items():
        match = re.search(pattern, built)
        facts[library] = match[1] if match else "none"
    for variable in _CHOOSING:
        if variable in os.environ:
            facts[variable] = os.environ[variable]
    return facts


def _version(package: str) -> str:
    """A job of a cluster may run where the workflow's own tools are not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Return the git commit of these sources, and whether they differ from it; else "unknown".

    A repository around them that does not keep them, as around an environment, is another's.
    """
    head = _git("rev-parse", "HEAD")
    if not head or not _git("ls-files", "--", "."):
        return "unknown (not a git checkout)"
    # without the lock: a plain status takes the index's, and a commit made meanwhile would fail
    status = _git("--no-optional-locks", "status", "--porcelain", "--", ".")
    return f"{head} with changes" if status else head


def _git(*words: str) -> str:
    """Return what git says of these sources, whoever owns the repository; "" where it fails."""
    here = Path(__file__).parent
    # git reads no repository of another user unless asked; what such a one could run is turned off
    anyone = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    try:
        done = subprocess.run(["git", *anyone, *words], cwd=here, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
