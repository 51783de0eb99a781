"""Arithmetics of one machine: what a library may do differently on another processor."""

from typing import NamedTuple


class Arithmetic(NamedTuple):
    """Environment variables that choose kernels, and the threads of a job."""

    environment: dict[str, str]
    threads: int = 1


ARITHMETICS = {
    "default": Arithmetic({}),
    "mkl-avx": Arithmetic({"MKL_CBWR": "AVX"}),
    "mkl-compatible": Arithmetic({"MKL_CBWR": "COMPATIBLE"}),
    "aten-default": Arithmetic({"ATEN_CPU_CAPABILITY": "default"}),
    "onednn-sse41": Arithmetic({"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "onednn-avx2": Arithmetic({"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "2-threads": Arithmetic({}, threads=2),
}
