"""Table of the costs of using students; like costs of training, none of it is in a record."""

from collections.abc import Sequence

from redistil.machine.latency import Latency
from redistil.stages.report.numbers.sheets import Sheet, printed
from redistil.stages.report.numbers.wording import amount_in_words

HEADER = (
    "student", "median ms", "95 % ms", "peak memory, MB", "bytes of a passage, float32", "float16",
    "seconds for a million passages",
)  # fmt: skip


def sheet(latencies: Sequence[Latency]) -> Sheet | None:
    """Return a row for each student that was timed, the quickest first; None without any."""
    if not latencies:
        return None
    rows = []
    for one in sorted(latencies, key=lambda one: one.median):
        amounts: list[float | None] = [one.median, one.p95, one.peak_bytes / 1e6]
        amounts += [one.bytes_float32, one.bytes_float16, one.million_seconds]
        rows.append(printed([one.student, *map(amount_in_words, amounts)]))
    first = latencies[0]
    devices = " and ".join(dict.fromkeys(one.device for one in latencies))
    threads = " or ".join(dict.fromkeys(str(one.threads) for one in latencies))
    caption = (
        f"Re-ranking {first.passages:,} passages for one query, over {first.queries:,} queries, on "
        f"{devices}, {threads} threads. A student that encodes passages ahead has them in memory "
        "already; the last three columns are of these. Peak memory: of the whole process or its "
        f"GPU. A million passages: not encoded, but extrapolated from {first.passages:,}."
    )
    return Sheet(caption, HEADER, rows, words=1)
