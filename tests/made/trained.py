"""A house in which students are trained: what a training is given, and what it leaves."""

from click.testing import CliRunner

from redistil.cli import cli
from redistil.machine.processes import Processes
from redistil.stages import models
from redistil.stages.models.reading import Dataset, Inputs
from redistil.storage.lineage import Made
from redistil.storage.tables import LISTS, QRELS, RUN, TEACHER_SCORES, TRIPLES, VALIDATION
from redistil.study.recipes import recipe as typed_recipe
from tests.made import tiny

LEFT = {
    "config.json",
    "curve.parquet",
    "lengths.json",
    "made.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "validation.parquet",
}
COST = "cost.json"  # times differ from run to run
NOTE = ".cost.json.so-far"  # of a training that goes on

SECOND = {"predecessor": "cell", "seed": 1}
DISTILLING = {"objective": "margin-mse", "options": {}, "teacher": "wise"}


def write(path, table, rows, name):
    columns = dict(zip(table.schema.names, zip(*rows, strict=True), strict=True))
    table.write(table.rows(columns), path, Made("mine", name))
    return path


def write_house(folder):
    """Write a backbone, its tokens, lists and triples, a teacher, candidates, and a first stage."""
    backbone = tiny.checkpoint(folder / "bert")
    tiny.tokens(folder / "q.arrow", backbone, tiny.texts(4, "q", 4))
    tiny.tokens(folder / "d.arrow", backbone, tiny.texts(12, "d", 8))
    pools = {f"q{i}": [f"d{(3 * i + j) % 12}" for j in range(5)] for i in range(4)}
    lists = [(q, docs, [1, 0, 0, 0, 0]) for q, docs in pools.items()]
    write(folder / "lists.parquet", LISTS, lists, "mined")
    triples = [(q, docs[0], d) for q, docs in pools.items() for d in docs[1:3]]
    write(folder / "triples.parquet", TRIPLES, triples, "mined")
    scores = [
        (q, d, float(len(q + d) - j)) for q, docs in pools.items() for j, d in enumerate(docs)
    ]
    write(folder / "teacher.parquet", TEACHER_SCORES, scores, "wise")
    write(folder / "short.parquet", TEACHER_SCORES, scores[:-2], "wise")
    run = [(q, d, 1, 0.0) for q, docs in pools.items() for d in docs]
    run = [(q, d, i % 5 + 1, 0.0) for i, (q, d, _, _) in enumerate(run)]
    write(folder / "candidates.parquet", RUN, run, "first/dev")
    qrels = [(q, docs[2], 1) for q, docs in pools.items()]
    write(folder / "qrels.parquet", QRELS, qrels, "dev")
    write(folder / "other.parquet", TEACHER_SCORES, [("elsewhere", "d0", 1.0)], "wise")
    train(folder, folder / "first", steps=3, learning_rate=0.1)
    return folder


def DEV(house):
    names = "candidates.parquet", "qrels.parquet", "q.arrow", "d.arrow"
    return Dataset("dev", *(house / name for name in names))


def train(house, out, pairs="lists", scores=None, checkpoint_every=2, **changed):
    recipe = tiny.recipe(**changed)
    out.mkdir(exist_ok=True)
    inputs = Inputs(
        backbone=house / "bert",
        queries=house / "q.arrow",
        passages=house / "d.arrow",
        negatives=house / f"{pairs}.parquet",
        teacher=house / f"{scores}.parquet" if scores else None,
        predecessor=house / "first" if recipe["predecessor"] else None,
        datasets=(DEV(house),) if recipe["validation"] else (),
    )
    made, processes = Made("train", "cell", recipe), Processes("cpu")
    how = {"checkpoint_every": checkpoint_every}
    models.train(typed_recipe(recipe), inputs, out, made, processes, **how)
    return out


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def validating(**changed):
    asked = {"datasets": {"dev": 1}, "first_stage": "first", "depth": 5, "every": 2}
    return asked | {"measure": "nDCG@10", "keep": "best", "patience": None} | changed


def values_of(folder):
    rows = VALIDATION.read(folder / "validation.parquet").to_pylist()
    assert {(row["dataset"], row["measure"]) for row in rows} <= {("dev", "nDCG@10")}
    return {row["step"]: row["value"] for row in rows}


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception
