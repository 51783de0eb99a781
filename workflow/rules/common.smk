"""The names that wildcards may take, what a rule asks of the catalogues, and what is refused."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

from redistil.cli.commands import code_of
from redistil.study import artefacts as study
from redistil.stages.corpora import beir
from redistil.errors import UserError
from redistil.study.overlays import laid_on, leave_out, overlay, refuse_missing
from redistil.storage import settings as written
from redistil.storage.placed import checkpoint_files, unrecorded
from snakemake.exceptions import WorkflowError

try:
    # Snakemake read these already; a key that one of them says twice is refused here
    for file in [*workflow.configfiles, *workflow.config_settings.configfiles]:
        written.mapping(Path(file))
    # the study lies on params.yaml, and what the command line says (--config, --configfile) on both
    stated = laid_on(config, overlay(config["study"]))
    stated = laid_on(stated, workflow.config_settings.overwrite_config)
    STUDY, left_out = leave_out(study.resolve(stated), "data/corpora/passages")
    refuse_missing(STUDY)
except UserError as mistake:
    raise WorkflowError(str(mistake))

config.clear()
config.update(STUDY.stated())

if workflow.is_main_process:
    print(*left_out, sep="\n", end="\n" * bool(left_out), file=sys.stderr)

ASKED = study.settings_of(STUDY)
GRID = config["grid"]
RESULTS = f"results/{config['study']}"
# jobs hold the accelerator in turn; where there is none, as many run as there are cores
GPU = int(shutil.which("nvidia-smi") is not None)


def one_of(names):
    """The pattern of a wildcard that may be one of these names, and nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def of_kind(catalogue, *keys):
    """The pattern of a catalogue's entries that have one of these keys."""
    entries = config[catalogue].items()
    return one_of(name for name, entry in entries if entry.keys() & {*keys})


wildcard_constraints:
    corpus=one_of(config["corpora"]),
    dataset=one_of(config["datasets"]),
    backbone=one_of(config["backbones"]),
    built=of_kind("backbones", "build"),
    fetched=of_kind("backbones", "hub", "folder"),
    first_stage=one_of(config["first_stages"]),
    splade=of_kind("first_stages", "encoder"),
    bm25=of_kind("first_stages", "k1"),
    imported=of_kind("first_stages", "import"),
    mined=of_kind("negatives", "kind"),
    docpairs=of_kind("negatives", "docpairs"),
    adopted=of_kind("teachers", "checkpoint"),
    scored=of_kind("teachers", "over"),
    averaged=of_kind("teachers", "average"),
    published=of_kind("teachers", "import"),
    ranked=of_kind("teachers", "llm"),
    exported=one_of(config["exports"]),
    teacher=one_of(config["teachers"]),
    student=one_of(config["students"]),
    loss=one_of(config["losses"]),
    seed=r"\d+",
    shard=r"\d+",


def code(command, **settings):
    """The fingerprint of the code behind a command: a formula counts, a word does not."""
    return f"code of {command} {code_of(command, settings)}"


def settings(command, name):
    """The flags that say what the study asks of one artefact, and what it is called."""

    def flags(wildcards):
        called = name.format(**wildcards)
        return f"--name {shlex.quote(called)} {study.flags(ASKED[command, called])}"

    return flags


def named(pattern):
    """The paths that `pattern` stands for once the catalogues have filled its words in.

    A word without a value (a loss without a teacher) makes it no path at all.
    """

    def paths(wildcards):
        words = {"study": config["study"], **study.words(STUDY, **wildcards)}
        missing = [
            word
            for word, value in words.items()
            if value is None and f"{{{word}}}" in pattern
        ]
        return [] if missing else pattern.format(**words)

    return paths


def vectors(wildcards):
    """The shards of a dataset's corpus under a SPLADE encoder."""
    corpus = config["datasets"][wildcards.dataset]["corpus"]
    return expand(
        "data/candidates/{splade}/vectors/{corpus}/{shard}.parquet",
        splade=wildcards.splade,
        corpus=corpus,
        shard=range(study.shards(STUDY, wildcards.splade, corpus)),
    )


def downloaded_scores(suffix=""):
    """The file that a teacher imports, or beside it (.json) the record that it was checked."""

    def path(wildcards):
        file = config["teachers"][wildcards.published]["import"]
        return f"data/downloads/{file}{suffix}"

    return path


def downloaded_run(suffix=""):
    """The run that a first stage imports for a dataset, or beside it the record likewise."""

    def path(wildcards):
        stage, dataset = wildcards.imported, wildcards.dataset
        file = study.imported_run(STUDY, stage, dataset)
        if file is None:
            raise WorkflowError(
                f"first_stages.{stage}.import: no run for {dataset}, which this study asks for: name its "
                "file, or leave the dataset out"
            )
        return f"data/downloads/{file}{suffix}"

    return path


def of_folder(corpus, dataset=None):
    """The files that are read of a folder in BEIR layout; what it lacks, the command says."""
    if "folder" not in config["corpora"][corpus]:
        return []
    try:
        told = dataset and config["datasets"][dataset]
        return beir.files(config["corpora"][corpus], told)
    except UserError:
        return []


def training(pattern):
    """The path of what belongs to the dataset of the negatives that the first wildcard names."""
    return lambda wildcards: named(pattern)({"negatives": wildcards[0]})


def of_export(pattern, wildcards):
    """The path of what belongs to the dataset of an export's negatives."""
    negatives = config["exports"][wildcards.exported]["negatives"]
    return named(pattern)({"negatives": negatives})


def test_queries(same_corpus, of="negatives"):
    """The queries that nothing may be trained on: of test sets over the same corpus, or not.

    of: what the first wildcard names, negatives or a backbone that is `built`.
    """

    def paths(wildcards):
        dataset = study.words(STUDY, **{of: wildcards[0]})["dataset"]
        apart = study.test_sets(STUDY, dataset)
        return expand(
            "data/corpora/queries/{dataset}.parquet",
            dataset=apart.same_corpus if same_corpus else apart.elsewhere,
        )

    return paths


def kept_apart(wildcards, input):
    """The flags that name the queries of test sets."""
    flags = [f"--test {path}" for path in input.test]
    return " ".join(flags + [f"--test-elsewhere {path}" for path in input.elsewhere])


def teacher_cell(name):
    """The cell that a trained teacher is; one that this study does not train is refused."""
    cells = study.teacher_cells(STUDY)
    if name not in cells:
        raise WorkflowError(
            f"teachers.{name}: the study {config['study']} neither tests it nor learns from it: choose "
            "another study (--config study=...), or name it in grid.teachers or a source"
        )
    return cells[name]


def teacher_model(name):
    """The folder of the model that a teacher is, and the words that tell whose tokens it reads."""
    adopted = config["teachers"][name].get("checkpoint")
    if adopted:
        return f"data/teachers/models/{name}", {"backbone": adopted}
    cell = teacher_cell(name)
    return f"{RESULTS}/models/{cell.name}", {"student": cell.student}


def taught(wildcards):
    """The words of a teacher that scores: whose tokens it reads, and the dataset it teaches on."""
    over = config["teachers"][wildcards.scored]["over"][0]
    _, words = teacher_model(wildcards.scored)
    return words | {"dataset": config["negatives"][over]["dataset"]}


def members(wildcards):
    """Model, query tokens and passage tokens of every member of a teacher, for one dataset."""
    for name in study.members(STUDY, wildcards.teacher):
        folder, words = teacher_model(name)
        words |= {"dataset": wildcards.dataset}
        yield (
            f"{folder}/made.json",
            named("data/tokens/{backbone}/queries/{dataset}.arrow")(words),
            named("data/tokens/{backbone}/passages/{corpus}.arrow")(words),
        )


def predecessor(wildcards):
    """Record and weights of the model that a training starts from; nothing where it is the first."""
    cell = study.Cell(wildcards.student, wildcards.loss, int(wildcards.seed))
    before = study.predecessor(STUDY, cell)
    files = ("made.json", "model.safetensors") if before else ()
    return [f"{RESULTS}/models/{before.name}/{file}" for file in files]


def validation(wildcards):
    """Name, candidates, qrels and token files of every data set that a training validates on."""
    asked = config["training"].get("validation")
    for dataset in asked["datasets"] if asked else []:
        words = {"student": wildcards.student, "dataset": dataset}
        yield (
            dataset,
            f"data/candidates/{asked['first_stage']}/{dataset}.parquet",
            f"data/corpora/qrels/{dataset}.parquet",
            named("data/tokens/{backbone}/queries/{dataset}.arrow")(words),
            named("data/tokens/{backbone}/passages/{corpus}.arrow")(words),
        )


def each_dataset(runs, qrels):
    """The flags that pair every dataset's run with its qrels."""
    rows = zip(GRID["datasets"], runs, qrels, strict=True)
    return " ".join(f"--on {dataset} {run} {judged}" for dataset, run, judged in rows)


def each(flag, values):
    """The flag once for each value."""
    return " ".join(f"{flag} {value}" for value in values)


def taught_by():
    """Every teacher behind a loss of the grid and its members: name, scores, negatives, file."""
    rows = {}
    for loss in GRID["losses"]:
        source = config["sources"][config["losses"][loss]["reads"]]
        if source.get("teacher"):
            negatives = source["negatives"]
            for name in [source["teacher"], *study.members(STUDY, source["teacher"])]:
                scores, pairs = (
                    f"data/teachers/{name}.parquet",
                    f"data/negatives/{negatives}.parquet",
                )
                rows[name, negatives] = (name, scores, negatives, pairs)
    return list(rows.values())


def swept(wildcards):
    """Every re-ranked run of a student, as (system, dataset)."""
    cells = [c.name for c in study.grid_cells(STUDY) if c.student == wildcards.student]
    return [(cell, dataset) for cell in cells for dataset in GRID["datasets"]]


def reranked():
    """Every system that re-ranks by a model, and the folder of its runs."""
    for system in study.systems(STUDY):
        if system.kind in ("student", "teacher"):
            yield system.name, f"{RESULTS}/runs/{system.name}"


def warned():
    """What the jobs behind this study counted and warned of, from their logs: nothing is silent."""
    names = {GRID["first_stage"], *GRID["baselines"], *GRID["datasets"]}
    names |= {config["datasets"][d]["corpus"] for d in GRID["datasets"]}
    for source in config["sources"].values():
        names |= {source["negatives"], source.get("teacher")}
        names.add(config["negatives"][source["negatives"]]["dataset"])
    stages = [
        config["first_stages"][name] for name in names & {*config["first_stages"]}
    ]
    names |= {stage.get("encoder") for stage in stages}
    names |= {
        config["students"][cell.student]["backbone"]
        for cell in study.trained_cells(STUDY)
    }
    told = {}
    for path in sorted(Path("logs").rglob("*.log")):
        about = {*path.parent.parts, path.stem}
        if config["study"] in about or path.parts[1] != "tokens" and about & names:
            for line in path.read_text(errors="replace").splitlines():
                if "redistil: WARNING: " in line:
                    told.setdefault(line.split("redistil: WARNING: ")[1], []).append(
                        path
                    )
    for line, paths in told.items():
        also = f" (so do {len(paths) - 1} more logs)" if len(paths) > 1 else ""
        yield f"{paths[0]}: {line}{also}"


def shown(wildcards):
    """The runs whose rankings the page shows: of each student and loss that of its first seed."""
    for system in study.systems(STUDY):
        if system.kind == "first stage":
            yield f"data/candidates/{system.name}/{wildcards.dataset}.parquet"
        elif system.kind != "student" or system.seed == GRID["seeds"][0]:
            yield f"{RESULTS}/runs/{system.name}/{wildcards.dataset}.parquet"


# `workflow.touch` is not known yet when this is read
if workflow.is_main_process and not {"--touch", "-t"} & {*sys.argv}:
    # what is downloaded may be put in place by hand, what is exported or to be published no rule reads
    apart = ("data/downloads", "data/exports", f"{RESULTS}/published")
    strays = list(unrecorded(("data", RESULTS), apart, ".snakemake"))
    if strays:
        raise WorkflowError(
            f"{len(strays)} files have no record of what made them (first: {strays[0]}), so a changed "
            "setting would go unseen. Bring the record back (`dvc checkout`, `dvc pull`), remove the "
            "files, or take them as they are if you know that they fit: `snakemake --touch --forceall`."
        )
