"""The states of passages, computed once: what a student knows of a passage before any query."""

import logging
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from redistil.errors import BadSource
from redistil.learning import students
from redistil.learning.scoring import encoded
from redistil.machine.processes import allow_tf32, check_precision
from redistil.storage import states
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.states import WINDOW, Stored

BLOCK = 8 * WINDOW  # passages: a shard ends where a block does

_log = logging.getLogger(__name__)


def embed(
    model: Path,
    tokens: Path,
    out: Path,
    made: Made,
    *,
    numbers: str,
    precision: str,
    shard: int,
    shards: int,
    device: torch.device,
) -> None:
    """Write the states of every passage of a shard, in the order of the token file.

    shard: which of `shards` parts of the file, from 0. What is encoded together, and so the last
    digit of a number, does not depend on how many parts there are. Raises BadSource where a student
    keeps nothing of a passage, and where a state is no number.
    """
    check_precision(precision, device)
    states.check_tokens(model, tokens)
    student = students.load(model).to(device).eval()
    if student.kept is None:
        raise BadSource(
            f"{model}: its architecture reads query and passage together, so that nothing of a "
            "passage can be stored: name a student that encodes passages apart"
        )
    allow_tf32(precision)
    scoring = student.for_scoring(precision)
    texts = Ragged(tokens)
    ids = texts.ids().combine_chunks()
    part = rows_of_shard(len(texts), shard, shards)
    with (
        states.writer(out, made, numbers, student.kept.width) as append,
        tqdm(total=len(part), unit="passage", mininterval=2) as bar,
        torch.inference_mode(),
    ):
        for start in range(0, len(part), WINDOW):
            rows = part[start : start + WINDOW]
            encoded_passages = encoded(scoring, "passage", list(map(texts.__getitem__, rows)))
            with np.errstate(over="ignore"):  # refused below
                values = encoded_passages.values.float().cpu().numpy().astype(numbers)
            if not np.isfinite(values).all():
                raise BadSource(
                    f"{model}: states of passages {rows.start} to {rows.stop - 1} of {tokens} are "
                    f"beyond {numbers}: store them as float32, or train the student anew"
                )
            append(ids.slice(rows.start, len(rows)), values, encoded_passages.sizes)
            bar.update(len(rows))
    size = Stored(out).bytes_per_passage
    _log.info("%s: %.0f bytes per passage (%s)", made.name, size, numbers)


def rows_of_shard(rows: int, shard: int, shards: int) -> range:
    """Return the rows of one of `shards` parts, in whole blocks."""
    blocks = -(-rows // BLOCK)
    start = blocks * shard // shards * BLOCK
    end = blocks * (shard + 1) // shards * BLOCK
    return range(min(start, rows), min(end, rows))
