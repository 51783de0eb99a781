"""Table of the costs of using students; like costs of training, none of it is in a record."""

from collections.abc import Mapping, Sequence
from typing import Any

from redistil.machine.latency import Latency
from redistil.stages.report.numbers.sheets import Sheet, printed
from redistil.stages.report.numbers.wording import amount_in_words

HEADER = (
    "student", "median ms", "95 % ms", "peak memory, MB", "bytes of a passage, float32", "float16",
    "seconds for a million passages",
)  # fmt: skip
PUBLISHED = "published ms"


def sheet(latencies: Sequence[Latency], waits: Sequence[Mapping[str, Any]] = ()) -> Sheet | None:
    """Return a row for each student that was timed, the quickest first; None without any.

    waits: published ones, of which a column tells if there are any.
    """
    if not latencies:
        return None
    published = {wait["student"]: wait["milliseconds"] for wait in waits}
    rows = []
    for one in sorted(latencies, key=lambda one: one.median):
        amounts: list[float | None] = [one.median, one.p95, one.peak_bytes / 1e6]
        amounts += [one.bytes_float32, one.bytes_float16, one.million_seconds]
        amounts += [published.get(one.student)] if published else []
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
    if published:
        caption += " The published median is of another machine, a GPU of its time."
    return Sheet(caption, [*HEADER, *([PUBLISHED] if published else [])], rows, words=1)
