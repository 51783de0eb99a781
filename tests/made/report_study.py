"""A small study with invented numbers: files and records as the pipeline would leave them."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from click.testing import CliRunner, Result

from redistil.cli import cli
from redistil.seeds import generator
from redistil.stages.report.numbers.entries import Values
from redistil.stages.report.numbers.rows import GroupValue, Line, PublishedRow, Source
from redistil.storage import lineage, tables
from redistil.storage.lineage import Made
from redistil.storage.tables import CURVE, MEASURES, PASSAGES, QRELS, RUN, ranked
from redistil.study import artefacts as studies
from tests.made.configs import Draft

HOSTILE = [
    "</script><script>window.pwned = 1</script>",
    '" onmouseover="window.pwned = 1" x=\'',
    "<img src=x onerror=window.pwned=1>",
    "\u202eevil\u2066 turned round",
    "a line\u2028 and a paragraph\u2029 separator",
    "&lt;b&gt; & <b>bold</b>",
    "{{ 7 * 7 }} ${7 * 7} `code`",
]
HOSTILE_LOSS = 'hinge"><img src=x onerror=window.pwned=1> $\\frac$'
QUERIES = 40  # queries of each dataset
DOCS = 12
SYSTEMS = 8  # lines of its leaderboard
QUALITY = {"random": 0.1, "first stage": 0.40, "teacher": 0.55}  # means of the invented values
CAPTIONS = Path(__file__).parents[2] / "workflow/report"
RESOURCES = Path(__file__).parents[2] / "workflow/resources"
STATISTICS = ["--margin", 0.005, "--reproduced-within", 0.01, "--resamples", 200, "--seed", 1]
MARGINS = {"import": "margins.tsv", "format": "margins", "unknown": 0.0, "tolerance": 0.0}
LOSSES = {"hinge": 0.30, "infonce": 0.50}


def config(**changed: Any) -> Any:
    """Return a resolved study: 2 students x 2 losses x 2 seeds, and every kind of baseline."""
    size = {
        "learning_rate": 1e-3,
        "steps": 9,
        "warmup_steps": 1,
        "batch": {"triples": 2, "lists": 2},
    }
    settings = {
        "study": "small",
        "title": "A small study",
        "corpora": {"docs": {"pydocs": ["click"]}},
        "datasets": {
            "test": {"corpus": "docs", "part": "test", "relevant_from": 1},
            "hard": {"corpus": "docs", "part": "test", "relevant_from": 1},
            "away": {"corpus": "docs", "part": "test", "relevant_from": 1},
        },
        "downloads": {},
        "backbones": {"tiny": {"hub": "a/b", "revision": "main"}},
        "students": {
            name: {"architecture": "cat", "backbone": "tiny", "size": "tiny"}
            for name in ("small-bert", "small-electra")
        },
        "losses": {
            "hinge": {"objective": "hinge", "margin": 1.0, "reads": "triples"},
            "infonce": {"objective": "infonce", "temperature": 1.0, "reads": "lists"},
        },
        "tokens": {"longest": 512},
        "first_stages": {
            "splade": {"encoder": "tiny", "query_length": 9, "passage_length": 9}
            | {"shard": 9, "depth": 5},
            "bm25": {"k1": 0.9, "b": 0.4, "stemmer": "english", "depth": 5},
        },
        "least_success": 0.1,
        "negatives": {},
        "teachers": {"one": MARGINS, "other": MARGINS, "both": {"average": ["one", "other"]}},
        "grid": {
            "students": ["small-bert", "small-electra"],
            "losses": ["hinge", "infonce"],
            "seeds": [1, 2],
            "datasets": ["test", "hard", "away"],
            "first_stage": "splade",
            "baselines": ["bm25"],
            "teachers": ["both"],
        },
        "groups": {"In domain": ["test", "hard"], "Out of domain": ["away"]},
        "exports": {},
        "measures": ["nDCG@10", "AP"],
        "sources": {
            "triples": {"negatives": "triples", "passages": 2},
            "lists": {"negatives": "lists", "passages": 8},
        },
        "training": {
            "query_length": 9,
            "passage_length": 9,
            "pair_length": 20,
            "pair_form": "native",
            "precision": "float32",
            "compile": False,
            "memory": {"at_once": 99, "held": 99},
            "optimiser": {"schedule": "linear", "epsilon": 1e-8}
            | {"weight_decay": 0.0, "clip_norm": None},
            "checkpoint_every": 5,
            "log_every": 1,
            "sizes": {"tiny": size},
        },
        "reranking": {"depth": 5, "precision": "float32"},
        "random_seed": 1,
        "statistics": {
            "alpha": 0.05,
            "margin": 0.005,
            "reproduced_within": 0.01,
            "resamples": 200,
            "seed": 1,
        },
        "page": {"queries": 18, "depth": 3, "characters": 60},
        "publishing": {"licence": "other"},
    }
    return Draft(settings | changed)


Changed = Mapping[tuple[str, str], Mapping[str, Any]]  # settings made otherwise than asked


def records(study: Mapping[str, Any], made_otherwise: Changed | None = None) -> dict[str, Made]:
    """Return the record of every artefact by "command name", chained as the rules chain them."""
    asked = studies.settings_of(study) | dict(made_otherwise or {})
    found: dict[str, Made] = {}

    def make(command: str, name: str, *inputs: str) -> str:
        read = [found[who] for who in inputs]
        made = lineage.make(command, name, asked[command, name], f"code of {command}", read)
        found[made.who] = made
        return made.who

    backbone = make("fetch", "tiny")
    passages = make("export-passages", "docs")
    queries = {d: make("export-queries", d, passages) for d in study["grid"]["datasets"]}
    for cell in studies.grid_cells(study):
        make("train", cell.name, backbone)
    for system in studies.systems(study):
        runs = []
        for dataset in study["grid"]["datasets"]:
            name = f"{system.name}/{dataset}"
            command = _ranked_by(system, study)
            model = [f"train {system.model}"] if system.model else []
            runs.append(make(command, name, queries[dataset], *model))
        make("evaluate", system.name, *runs, *queries.values())
    return found


def _ranked_by(system: studies.System, study: Mapping[str, Any]) -> str:
    if system.kind == "first stage":
        return "retrieve" if "encoder" in study["first_stages"][system.name] else "retrieve-bm25"
    if system.kind == "teacher" and "average" in study["teachers"][system.name]:
        return "fuse"
    return {"random": "shuffle", "retriever": "search"}.get(system.kind, "rerank")


def values(system: studies.System, dataset: str) -> np.ndarray:
    """Return invented values: every system finds the same queries hard."""
    hardness = generator(1, "hardness", dataset).normal(0, 0.2, QUERIES)
    noise = generator(1, "noise", system.name, dataset).normal(0, 0.05, QUERIES)
    mean = LOSSES[system.loss] if system.loss in LOSSES else QUALITY.get(system.kind, 0.4)
    return np.clip(mean + hardness + noise, 0, 1)


def values_of(study: Mapping[str, Any], of: Callable[..., np.ndarray] = values) -> Values:
    """Return the values of every system as the report reads them; `of` gives those of one."""
    systems, datasets = studies.systems(study), study["grid"]["datasets"]
    per_query = {(s.name, d): of(s, d) for s in systems for d in datasets}
    means = {
        (*place, measure): float(found.mean())
        for place, found in per_query.items()
        for measure in studies.measures_of(study, place[1])
    }
    ids = [f"q{number}" for number in range(QUERIES)]
    queries = dict.fromkeys(datasets, len(ids))
    return Values(per_query, means, queries, dict.fromkeys(datasets, ids))


def write(
    folder: Path,
    study: Mapping[str, Any],
    of: Callable[[studies.System, str], np.ndarray] = values,
    made_otherwise: Changed | None = None,
) -> dict[str, list[str]]:
    """Write the study with its measures, models and curves; return the options that name them."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(dict(study)), encoding="utf-8")
    made = records(study, made_otherwise)
    options: dict[str, list[str]] = {
        "study": [str(path)],
        "measures": [],
        "models": [],
        "curves": [],
        "gates": [],
    }
    for system in studies.systems(study):
        record = made[f"evaluate {system.name}"]
        file = folder / "measures" / f"{system.name}.parquet"
        MEASURES.write(_measured(study, system, of), file, record)
        options["measures"].append(str(file))
        if system.kind == "student":
            options["models"].append(str(_model(folder / "models" / system.name, made, system)))
            options["curves"].append(str(folder / "models" / system.name / "curve.parquet"))
    return options


def _measured(study: Mapping[str, Any], system: studies.System, of: Any) -> Any:
    rows = [
        (f"q{number:03}", dataset, measure, float(value))
        for dataset in study["grid"]["datasets"]
        for measure in studies.measures_of(study, dataset)
        for number, value in enumerate(of(system, dataset))
    ]
    return MEASURES.rows(dict(zip(MEASURES.schema.names, zip(*rows, strict=True), strict=True)))


def _model(folder: Path, made: Mapping[str, Made], system: studies.System) -> Path:
    folder.mkdir(parents=True)
    record = made[f"train {system.name}"]
    (folder / "made.json").write_text(record.dumps(), encoding="utf-8")
    steps = np.arange(1, 451)
    noise = generator(1, "curve", system.name).normal(0, 0.05, len(steps))
    columns = {
        "step": steps,
        "loss": np.exp(-steps / 100) + 0.2 + noise,
        "gradient_norm": np.ones(len(steps)),
        "learning_rate": np.full(len(steps), 1e-3),
        "positive_score": steps / 100,
        "negative_score": -steps / 100,
    }
    CURVE.write(CURVE.rows(columns), folder / "curve.parquet", record)
    return folder / "made.json"


def write_texts(
    folder: Path, study: Mapping[str, Any], text: Callable[[str], str] = str
) -> dict[str, dict[str, Any]]:
    """Write queries, passages, qrels and runs; return the options that name them, by dataset.

    text: makes the text of a query or passage of its id.
    """
    made = records(study)
    docs = [f"doc{number}" for number in range(DOCS)]
    passages = folder / "passages.parquet"
    rows = {"doc_id": docs, "text": [text(doc) for doc in docs]}
    PASSAGES.write(PASSAGES.rows(rows), passages, made["export-passages docs"])
    found: dict[str, dict[str, Any]] = {}
    for dataset in study["grid"]["datasets"]:
        ids = [f"q{number:03}" for number in range(QUERIES)]
        record = made[f"export-queries {dataset}"]
        queries, qrels = (folder / kind / f"{dataset}.parquet" for kind in ("queries", "qrels"))
        rows = {"query_id": ids, "text": [text(f"{dataset} {name}") for name in ids]}
        tables.QUERIES.write(tables.QUERIES.rows(rows), queries, record)
        judged = {"query_id": ids, "doc_id": docs[:1] * QUERIES, "relevance": [1] * QUERIES}
        QRELS.write(QRELS.rows(judged), qrels, record)
        runs = []
        for system in studies.systems(study):
            path = folder / "runs" / system.name / f"{dataset}.parquet"
            command = _ranked_by(system, study)
            scores = generator(1, "run", system.name, dataset).normal(size=(QUERIES, DOCS))
            triples = [(q, d, scores[i, j]) for i, q in enumerate(ids) for j, d in enumerate(docs)]
            RUN.write(
                ranked(*zip(*triples, strict=True)),
                path,
                made[f"{command} {system.name}/{dataset}"],
            )
            runs.append(str(path))
        found[dataset] = {"files": [queries, passages, qrels], "runs": runs}
    return found


def sources(study: Mapping[str, Any]) -> dict[str, Source]:
    """Return a source for every system, of no file."""
    return {system.name: Source("", "") for system in studies.systems(study)}


# --- the commands ---------------------------------------------------------------------------


def command(*words: Any) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=True)


def named(options: dict[str, list[str]], *keys: str) -> list[str]:
    return [word for key in keys for value in options[key] for word in (f"--{key}", value)]


def tabulate(
    folder: Path, options: dict[str, list[str]], alpha: float = 0.05, resources: Path = RESOURCES
) -> Result:
    given = [
        *named(options, "measures", "models", "gates"),
        *("--published", resources / "published.csv", "--names", resources / "published.yaml"),
        *("--alpha", alpha, *STATISTICS, "--name", "small"),
    ]
    return command("tabulate", options["study"][0], folder / "tables", *given)


def plot(folder: Path, options: dict[str, list[str]], *curves: str) -> Result:
    return command("plot", options["study"][0], folder / "tables", folder / "figures", *curves)


def page(folder: Path, options: dict[str, list[str]], departures: str = "None.") -> Result:
    path = folder / "departures.md"
    path.write_text(departures, encoding="utf-8")
    parts = (folder / "tables", folder / "figures", CAPTIONS, path, folder / "index.html")
    given = [*named(options, "models"), *options.get("comparison", [])]
    return command("page", options["study"][0], *parts, *given)


def compare(
    folder: Path, options: dict[str, list[str]], texts: Mapping[str, Mapping[str, Any]]
) -> None:
    """Run `compare`, and `contrast` for each dataset; their outputs join the options."""
    study, measures = options["study"][0], named(options, "measures")
    how = ["--resamples", 200, "--seed", 1]
    out = folder / "pairs.parquet"
    ended_well(command("compare", study, out, *measures, *how, "--name", "small"))
    options["comparison"] = ["--pairs", str(out)]
    for dataset, found in texts.items():
        out = folder / "contrasts" / f"{dataset}.parquet"
        runs = [word for path in found["runs"] for word in ("--runs", path)]
        sizes = ["--dataset", dataset, "--queries", 6, "--depth", 3, "--characters", 60]
        given = [*measures, *runs, *sizes, "--name", dataset]
        ended_well(command("contrast", study, *found["files"], out, *given))
        options["comparison"] += ["--contrasts", str(out)]


def ended_well(result: Result) -> None:
    assert result.exit_code == 0, (result.output, result.exception)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def hostile(name: str) -> str:
    """Return a text for an id, long and of the kind that breaks pages."""
    return f"{HOSTILE[sum(map(ord, name)) % len(HOSTILE)]} {name} " + "and so on " * 9


def build(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Build a study with hostile names and texts, through every command up to the page."""
    study = config(title="<script>window.pwned = 1</script> & $x$")
    study["losses"][HOSTILE_LOSS] = study["losses"].pop("hinge")
    study["grid"]["losses"] = [HOSTILE_LOSS, "infonce"]
    options: dict[str, Any] = write(folder, study)
    ended_well(tabulate(folder, options))
    ended_well(plot(folder, options, *named(options, "curves")))
    compare(folder, options, write_texts(folder, study, hostile))
    said = "# Why\n\n<img src=x onerror=window.pwned=1> and `<b>code</b>`"
    ended_well(page(folder, options, said))
    return folder, options


def board_line(system: str, kind: str = "student", **values: float) -> Line:
    """Return a line of the leaderboard that has these values on groups and nothing else."""
    nothing = dict.fromkeys(field.name for field in fields(GroupValue))
    groups = {group: GroupValue(**{**nothing, "value": v}) for group, v in values.items()}
    return Line(system, kind, None, None, 1, groups, {})


def published_row(**values: Any) -> PublishedRow:
    """Return a published value beside ours that has these values and no others."""
    nothing = dict.fromkeys(field.name for field in fields(PublishedRow))
    return PublishedRow(**{**nothing, **values})


def only(rows: list[Any], **wanted: Any) -> Any:
    """Return the one row, of any kind, that has these values."""
    found = [row for row in rows if wanted.items() <= vars(row).items()]
    assert len(found) == 1, found
    return found[0]
