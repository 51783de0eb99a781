"""The architectures beside each other and beside peers: `python -m benchmarks.architectures`.

Three tables of one run. Re-ranking from states in memory and in a file against encoding anew; late
interaction against sentence-transformers' and PyLate's, after all scores agree; and a training step
of each student against one of CAT. DOT and ColBERT have a step of sentence-transformers beside
theirs, from the same weights and token ids, after the losses agree. Weights are random, and so are
the texts; times are medians. Vocabularies are small: with real ones an optimiser has more to do,
above all of TK.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pyarrow as pa
import sentence_transformers
import torch
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMarginMSELoss
from sentence_transformers.sentence_transformer.losses import MarginMSELoss
from sentence_transformers.util import pairwise_dot_score

from benchmarks.environments import OUT, environment
from benchmarks.protocol import Worker
from redistil.cli.runtime import quiet
from redistil.learning import objectives, students
from redistil.learning.gradients import Memory, learn
from redistil.learning.latency import Reranker
from redistil.learning.pairs import Pairs
from redistil.learning.stored import scores_of
from redistil.learning.students.states import States
from redistil.machine.processes import Processes
from redistil.seeds import generator
from redistil.stages.backbones import words
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.storage.lineage import Made
from redistil.storage.ragged import Tokens
from redistil.storage.states import WINDOW, Corpus, Stored, writer
from redistil.storage.tables import PASSAGES
from redistil.study.architectures import ARCHITECTURES

SIZES = {"tiny": (2, 64, 2), "distilbert": (6, 768, 12)}  # layers, width, heads
WORDS = {"tiny": 20, "distilbert": 300}  # width of TK's vectors
LENGTHS = {"query_length": 32, "passage_length": 198}
QUERY, PASSAGE = (4, 12), (40, 190)  # tokens, from and below
IDS = (5, 30)  # of tokens, from and below
MEMORY = Memory(at_once=2048, held=1 << 17)
AGREE = 1e-4  # of the largest score
RATE = 1e-6  # of a training step
THEIR_LOSSES = {
    "SentenceTransformer": partial(MarginMSELoss, similarity_fct=pairwise_dot_score),
    "MultiVectorEncoder": MultiVectorMarginMSELoss,
}


def recipes(layers: int, width: int) -> dict[str, dict[str, Any]]:
    """Return the settings of each student, CAT first."""
    masks = {"masks": 8, "mask_position": "before"}
    pair = {"pair_length": 233, "pair_form": "native"}
    kernels = {"variant": "v2", "layers": 2, "heads": 10, "feed_forward": 300}
    rates = {"kernel_rate": 10.0, "embedding_rate": 0.7}
    return {
        "cat": pair,
        "cat-linear": pair,
        "dot": {},
        "colbert": {"dimensions": width} | masks,
        "prettr": {"split": layers // 2, "offset": "fixed"},
        "tk": kernels | rates | {"passage_start": 500},
    }


def made(folder: Path, size: str) -> dict[str, Any]:
    """Return the students, on one encoder and on word vectors."""
    layers, width, heads = SIZES[size]
    torch.manual_seed(1)
    tokenizer = vocabulary("bert", ["a re ranker is taught by its teachers"] * 9, 300)
    encoder = network("bert", tokenizer, layers=layers, width=width, heads=heads)
    encoder.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    vectors = _word_vectors(folder, WORDS[size])
    models = {}
    for name, settings in recipes(layers, width).items():
        backbone = vectors if ARCHITECTURES[name].reads_words else folder
        models[name] = students.new({"architecture": name} | LENGTHS | settings, backbone, 1)
    return models


def _word_vectors(folder: Path, width: int) -> Path:
    """Write a vector for every id that a text may have, as `collect-words` does."""
    passages, out = folder / "passages.parquet", folder / "words"
    text = " ".join(f"word{number}" for number in range(IDS[1]))
    rows = PASSAGES.rows({"doc_id": ["1"], "text": [text]})
    PASSAGES.write(rows, passages, Made("corpus", "words"))
    how = {"width": width, "least": 1, "vectors": None, "seed": 1}
    words.collect([passages], out, Made("words", "words"), **how)
    return out


def texts(name: str, count: int, sizes: tuple[int, int]) -> list[Tokens]:
    """Return random texts as token ids."""
    rng = generator(1, "benchmark", name)
    return [rng.integers(*IDS, size, dtype=np.int32) for size in rng.integers(*sizes, count)]


def seconds(work: Callable[[], Any], turns: int) -> float:
    """Return the median time of a work, after one turn that is not counted."""
    work()
    times = []
    for _ in range(turns):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def agree(scores: Any, wanted: Any, what: str) -> None:
    """Refuse to time what does not compute the same."""
    scores, wanted = np.asarray(scores), np.asarray(wanted)
    apart = float(np.abs(scores - wanted).max() / np.abs(wanted).max())
    if not apart <= AGREE:
        raise click.ClickException(f"{what}: scores differ by {apart:.1e} of the largest")


# --- from stored states ---------------------------------------------------------------------------


def stored(models: Mapping[str, Any], passages: int, turns: int) -> list[list[str]]:
    """Return milliseconds of a query: encoded anew, from states in memory and in a file."""
    (query,), shown = texts("query", 1, QUERY), texts("passages", passages, PASSAGE)
    rows = []
    for name, student in models.items():
        if student.kept is None:
            continue
        scorer = student.for_scoring("float32")
        reranker = Reranker(scorer, shown)
        with tempfile.TemporaryDirectory() as folder:
            filed = _filed(reranker.stored, Path(folder))
            from_file = partial(_from_file, scorer, query, filed, passages)
            work = partial(reranker.scores, query)
            quick, in_memory = work(), seconds(work, turns)
            agree(from_file(), quick, f"{name}, in a file")
            in_file = seconds(from_file, turns)
        reranker.stored = None
        agree(quick, work(), name)
        anew = seconds(work, turns)
        times = anew, in_memory, in_file
        rows.append([name, *map(_ms, times), f"{anew / in_memory:.2f}x", f"{anew / in_file:.2f}x"])
    return rows


def _filed(states: Any, folder: Path) -> Corpus:
    """Return states as they are read from a file, written as `embed` writes them."""
    ids = pa.array(map(str, range(len(states))), pa.string())
    width = states.values.shape[1]
    with writer(folder / "states.arrow", Made("embed", "states"), "float32", width) as append:
        for start in range(0, len(states), WINDOW):
            part = states.at(np.arange(start, min(start + WINDOW, len(states))))
            append(ids.slice(start, len(part)), part.values.numpy(), part.sizes)
    return Corpus([Stored(folder / "states.arrow")])


def _from_file(scorer: Any, query: Tokens, passages: Corpus, count: int) -> torch.Tensor:
    """Return the scores of all passages for a query."""
    states = scorer.encode_queries([query])
    rows = [passages[row] for row in range(count)]
    return scores_of(scorer, states, np.zeros(count, np.int64), rows)


# --- late interaction -----------------------------------------------------------------------------


def late(student: Any, width: int, passages: int, turns: int, threads: int) -> list[list[str]]:
    """Return milliseconds of the scores of one query, ours and the peers'."""
    from sentence_transformers.util import maxsim

    rng = generator(1, "benchmark", "late")
    query = torch.from_numpy(rng.normal(size=(32, width)).astype(np.float32))
    sizes = rng.integers(*PASSAGE, passages)
    values = torch.from_numpy(rng.normal(size=(sizes.sum(), width)).astype(np.float32))
    states = States(values, np.concatenate([[0], np.cumsum(sizes)]))
    grid, mask = states.grid()
    alone = States(query, np.array([0, 32]))
    places = np.arange(passages)
    ragged = list(torch.split(values, sizes.tolist()))

    def ours() -> Any:
        return student.interact(alone, states, np.zeros_like(places), places)

    contenders = {
        "redistil": ours,
        "sentence-transformers, list": lambda: maxsim([query], ragged)[0],
        "sentence-transformers, padded": lambda: maxsim(query[None], grid, b_mask=mask)[0],
    }
    wanted, times = ours(), {}
    for name, work in contenders.items():
        agree(work(), wanted, name)
        times[name] = seconds(work, turns)
    answer = _pylate(query[None], grid, mask, turns, threads)
    agree(answer["scores"], wanted, "PyLate")
    times["PyLate, padded"] = statistics.median(answer["seconds"])
    first = times["redistil"]
    return [[name, _ms(took), f"{took / first:.2f}x"] for name, took in times.items()]


def _pylate(query: Any, grid: Any, mask: Any, turns: int, threads: int) -> dict[str, Any]:
    python = environment("pylate", OUT / "environments", "--no-deps")
    settings = {"threads": threads, "device": "cpu", "tf32": False}
    worker = Worker(python, "benchmarks.workers.maxsim", OUT / "logs/maxsim.log", settings)
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        arrays = {"query": query.numpy(), "grid": grid.numpy(), "mask": mask.float().numpy()}
        np.savez(file.name, **arrays)
        try:
            return worker.ask("score", file=file.name, turns=turns)
        finally:
            worker.stop()


# --- a step of training ---------------------------------------------------------------------------


Step = Callable[[], float]  # of training; it returns the loss


class Triples(NamedTuple):
    """Triples of a step: query i with the passages 2i and 2i + 1; teacher: [batch, 2]."""

    queries: list[Tokens]
    passages: list[Tokens]
    teacher: torch.Tensor


def triples_of(batch: int) -> Triples:
    """Return random triples."""
    teacher = generator(1, "teacher").normal(size=(batch, 2)).astype(np.float32)
    queries, passages = texts("asked", batch, QUERY), texts("shown", 2 * batch, PASSAGE)
    return Triples(queries, passages, torch.from_numpy(teacher))


def our_step(student: Any, triples: Triples) -> Step:
    """Return a step of Margin-MSE, as `train` takes it."""
    batch = len(triples.queries)
    query, passage = np.repeat(np.arange(batch), 2), np.arange(2 * batch)
    pairs = Pairs(triples.queries, triples.passages, query, passage)
    mask = torch.ones(batch, 2, dtype=torch.bool)
    optimiser = torch.optim.AdamW(student.parameters(), lr=RATE)
    processes = Processes("cpu")
    student.train()

    def loss_of(scores: torch.Tensor) -> torch.Tensor:
        return objectives.margin_mse(scores.view(batch, 2), triples.teacher, mask)

    def step() -> float:
        outcome = learn(student, pairs, loss_of, MEMORY, "float32", (1, 1), processes)
        optimiser.step()
        optimiser.zero_grad()
        return float(outcome.loss)

    return step


def their_step(name: str, student: Any, triples: Triples, folder: Path) -> Step | None:
    """Return a step of sentence-transformers on a copy of a student, None where it has no such."""
    loaded_as = ARCHITECTURES[name].loaded_as
    if loaded_as not in THEIR_LOSSES:
        return None
    student.save(folder)
    model = getattr(sentence_transformers, loaded_as)(
        str(folder), device="cpu", local_files_only=True
    )
    objective = THEIR_LOSSES[loaded_as](model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    columns = [_features(student.queries, triples.queries)]
    for first in (0, 1):
        columns.append(_features(student.passages, triples.passages[first::2]))
    margins = triples.teacher[:, 0] - triples.teacher[:, 1]
    model.train()

    def step() -> float:
        loss = objective([dict(column) for column in columns], margins)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    return step


def _features(template: Any, column: Sequence[Tokens]) -> dict[str, torch.Tensor]:
    inputs = template.inputs(column, torch.device("cpu"))
    return {"input_ids": inputs.ids, "attention_mask": inputs.mask}


def steps(models: Mapping[str, Any], batch: int, turns: int) -> list[list[str]]:
    """Return milliseconds of a step of each student, and of sentence-transformers' beside it."""
    triples, rows, first = triples_of(batch), [], 0.0
    for name, student in models.items():
        with tempfile.TemporaryDirectory() as folder:
            theirs = their_step(name, student, triples, Path(folder))
        ours, beside = in_turn(our_step(student, triples), theirs, turns, name)
        first = first or ours
        compared = [_ms(beside), f"{beside / ours:.2f}x"] if beside else ["", ""]
        rows.append([name, _ms(ours), f"{ours / first:.2f}x", *compared])
    return rows


def in_turn(ours: Step, theirs: Step | None, turns: int, name: str) -> tuple[float, float | None]:
    """Return the median seconds of both steps, taken one after the other."""
    loss = ours()
    if theirs is None:
        return seconds(ours, turns), None
    agree(loss, theirs(), f"{name}, a step")
    times = []
    for _ in range(turns):
        times.append([seconds(step, 1) for step in (ours, theirs)])
    first, second = map(statistics.median, zip(*times, strict=True))
    return first, second


# --- one run --------------------------------------------------------------------------------------


def _ms(took: float) -> str:
    return f"{1000 * took:.1f}"


def told(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    lines = [title, "", " | ".join(header), "|".join(["---"] * len(header))]
    print("\n".join([*lines, *map(" | ".join, rows)]), end="\n\n", flush=True)


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="distilbert", show_default=True)
@click.option("--passages", default=1000, show_default=True, help="Re-ranked for a query.")
@click.option("--batch", default=32, show_default=True, help="Triples of a training step.")
@click.option("--turns", default=5, show_default=True, help="Of each work.")
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def main(size: str, passages: int, batch: int, turns: int, threads: int) -> None:
    """Print what stored states, late interaction and training steps cost."""
    quiet(threads)
    width = SIZES[size][1]
    with tempfile.TemporaryDirectory() as place:
        models = made(Path(place), size)
        with torch.inference_mode():
            rows = stored({name: one.eval() for name, one in models.items()}, passages, turns)
            header = ["student", "anew, ms", "in memory, ms", "in a file, ms", "memory", "file"]
            told(f"{passages} passages for a query", header, rows)
            rows = late(models["colbert"], width, passages, turns, threads)
            told("late interaction", ["who", "ms", "of redistil"], rows)
        rows = steps(models, batch, turns)
        header = ["student", "ms", "of cat", "sentence-transformers, ms", "of ours"]
        told(f"a step of {batch} triples", header, rows)


if __name__ == "__main__":
    main()
