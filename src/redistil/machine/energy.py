"""Time and energy that some work takes, as far as the machine counts them.

Processors count in the kernel's powercap folder (RAPL: Intel, and AMD from Zen on), each package
and its memory by itself; kernels since 2020 let only root read it. GPUs count in NVML, which
needs the package nvidia-ml-py. What cannot be read is None: no number is made up from a share.
The counters are of the whole machine, whoever else works on it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

from redistil.errors import Full, UserError
from redistil.storage import digests

SO_FAR = ".so-far"  # behind the name of a cost: the note of a work that goes on
POWERCAP = Path("/sys/class/powercap")
EVERY = 30.0  # seconds; the shortest counter (65 kJ) goes round in two minutes at 500 W
NOTED = 1.0  # seconds between two notes of what a work has spent: a kill loses these at most


@dataclass(frozen=True)
class Spent:
    """Amounts that a work took, over all its starts; None where one is not known.

    Seconds of the clock, joules, and seconds of all threads.
    """

    seconds: float | None = 0.0
    processor_joules: float | None = 0.0
    gpu_joules: float | None = 0.0
    cpu_seconds: float | None = 0.0
    interruptions: float | None = 0  # starts that did not come to their end

    @staticmethod
    def of(record: Any) -> "Spent":
        """Return the amounts that `asdict` once gave; one in another form is not known.

        No fingerprint guards this form (`redistil.storage.code.TOLD`).
        """
        amounts: list[float | None] = []
        for field in fields(Spent):
            amount = record.get(field.name) if isinstance(record, dict) else None
            amounts.append(amount if isinstance(amount, (int, float)) else None)
        return Spent(*amounts)

    def __add__(self, more: "Spent") -> "Spent":
        """Return the sums; an amount that one part does not know is not known of both."""
        return Spent(
            _sum(self.seconds, more.seconds),
            _sum(self.processor_joules, more.processor_joules),
            _sum(self.gpu_joules, more.gpu_joules),
            _sum(self.cpu_seconds, more.cpu_seconds),
            _sum(self.interruptions, more.interruptions),
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True)
class Note:
    """Where a work notes what it has spent, for a start after a kill.

    path: of the note; made: the fingerprint of the work. The note of another work is passed over.
    """

    path: Path
    made: str

    @classmethod
    def beside(cls, cost: Path, made: str) -> Self:
        """Return the note of the work whose cost will be written to `cost`."""
        return cls(cost.with_name(f".{cost.name}{SO_FAR}"), made)

    def left(self) -> Spent:
        """Return what starts of this work that were interrupted spent."""
        try:
            note = digests.read_json(self.path)
        except (OSError, UserError, ValueError):
            return Spent()
        if note.get("made") != self.made:
            return Spent()
        return Spent.of(note.get("spent")) + Spent(interruptions=1)

    def write(self, spent: Spent) -> None:
        """Note what is spent so far; without room on the disk the last note stays."""
        try:
            digests.write_json({"made": self.made, "spent": asdict(spent)}, self.path)
        except (OSError, Full):
            return


class Meter:
    """The time and energy that a work has spent: since it is entered, and in starts before.

    gpus: their UUIDs, as NVML knows them; note: where the work notes what it has spent. While it is
    open a thread looks at the processors' counters, so that none goes round unseen. It writes the
    note too: a file of a few bytes for each.
    """

    def __init__(
        self,
        gpus: Sequence[str] = (),
        powercap: Path = POWERCAP,
        note: Note | None = None,
    ) -> None:
        self._uuids, self._powercap, self._note = gpus, powercap, note
        self._closed, self._lock = Event(), Lock()

    def __enter__(self) -> Self:
        self._gpus, self._processors = Gpus(self._uuids), Processors(self._powercap)
        self._begun, self._begun_cpu = time.monotonic(), time.process_time()
        self._before = self._note.left() if self._note else Spent()
        self._watch = Thread(target=self._look, daemon=True)
        if self._note or self._processors.joules() is not None:
            self._watch.start()
        return self

    def spent(self) -> Spent:
        """Return the time and energy spent so far."""
        seconds = time.monotonic() - self._begun
        of_threads = time.process_time() - self._begun_cpu
        with self._lock:
            joules = self._processors.joules(), self._gpus.joules()
        return self._before + Spent(seconds, *joules, of_threads)

    def _look(self) -> None:
        self._look_once()
        while not self._closed.wait(NOTED if self._note else EVERY):
            self._look_once()

    def _look_once(self) -> None:
        spent = self.spent()
        if self._note:
            self._note.write(spent)

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        if self._watch.is_alive():
            self._watch.join()
            self._look_once()


class Processors:
    """The counters of all processor packages and their memory."""

    def __init__(self, powercap: Path) -> None:
        self._zones: list[Zone] = []
        try:
            for path in sorted(powercap.glob("intel-rapl:*")):
                if _whole(path):
                    self._zones.append(Zone(path))
        except (OSError, ValueError):
            self._zones = []

    def joules(self) -> float | None:
        """Return what they used since this was made, or None where one cannot be read."""
        microjoules = 0
        try:
            for zone in self._zones:
                microjoules += zone.used()
        except (OSError, ValueError):
            self._zones = []  # half a sum is no sum, now or later
        return microjoules / 1e6 if self._zones else None


def _whole(zone: Path) -> bool:
    """Whether no other zone holds this one: a package, or its memory; cores are in the package."""
    name = (zone / "name").read_text(encoding="ascii").strip()
    return name.startswith("package") or name == "dram"


class Zone:
    """A counter of microjoules that begins anew at its range."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
        self._last, self._used = self._now(), 0

    def used(self) -> int:
        """Return microjoules since this was made, if this is called before a whole round."""
        now = self._now()
        self._used += now - self._last + (self._range if now < self._last else 0)
        self._last = now
        return self._used

    def _now(self) -> int:
        return int(self._counter.read_text(encoding="ascii"))


class Gpus:
    """The energy counters of some GPUs."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self._counters: list[tuple[Any, int]] = []
        if not uuids:
            return
        try:
            self._nvml: Any = import_module("pynvml")
        except ImportError:
            return
        try:
            self._nvml.nvmlInit()
            for uuid in uuids:
                handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
                self._counters.append((handle, self._millijoules(handle)))
        except self._nvml.NVMLError:
            self._counters = []

    def joules(self) -> float | None:
        """Return what they used since this was made, or None where one has no counter."""
        if not self._counters:
            return None
        millijoules = 0
        try:
            for handle, first in self._counters:
                millijoules += self._millijoules(handle) - first
        except self._nvml.NVMLError:
            self._counters = []
            return None
        return millijoules / 1e3

    def _millijoules(self, handle: Any) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
