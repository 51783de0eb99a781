"""DVC keeps the files that the rules make, and no text that nobody may hand on."""

import re
from pathlib import Path

import yaml

from redistil.study import withheld
from tests.made.configs import STUDIES, resolved

ROOT = Path(__file__).parents[2]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))

# fetched again by whoever needs them, asked for by name, or large and made quickly
APART = ("data/downloads/", "data/exports/", "results/{study}/published/")
APART += ("results/{study}/trec/", "results/{study}/vectors/")

# of the outputs that a corpus or a dataset names: those that hold its texts, and those that do not
TEXTS = {
    "data/corpora/passages/{corpus}.parquet",
    "data/corpora/queries/{dataset}.parquet",
    "data/tokens/{backbone}/{side}/{collection}.arrow",
    "data/candidates/{splade}/vectors/{corpus}/{shard}.parquet",
    "results/{study}/report/contrasts/{dataset}.parquet",
}
NUMBERS = {
    "data/corpora/qrels/{dataset}.parquet",
    "data/corpora/counts/{dataset}.parquet",
    "data/candidates/{splade}/{dataset}.parquet",
    "data/candidates/{bm25}/{dataset}.parquet",
    "data/candidates/{imported}/{dataset}.parquet",
    "results/{study}/runs/",
    *APART,
}


def outputs():
    """Return the paths that rules make, as docs/tables.md writes them."""
    made = set()
    for body in re.findall(r"\n    output:\n((?:        .*\n)+)", RULES):
        for path in re.findall(r'"((?:data|results|\{RESULTS\})/[^"]+)"', body):
            path = re.sub(r"\{(\{\w+\})\}", r"\1", path.replace("{RESULTS}", "results/{study}"))
            made.add(path)
    assert len(made) > 40
    return made


def kept():
    """Return what DVC keeps, with the study as in docs/tables.md."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["reproduce"]
    entries = [*stage["outs"], *stage["metrics"], *stage["plots"]]
    return {path.replace("${study}", "{study}") for entry in entries for path in entry}


def test_dvc_keeps_every_output():
    tables = re.findall(r'^ {16}"(\w+)",$', RULES, re.M)
    assert "leaderboard" in tables
    made = {path for path in outputs() if not path.startswith(APART)}
    made |= {f"results/{{study}}/report/tables/{table}.csv" for table in tables}
    made -= {"results/{study}/report/tables/{table}.csv"}
    lost = [path for path in made if not any(f"{path}/".startswith(f"{out}/") for out in kept())]
    assert lost == []


def test_every_output_about_texts_is_decided_on():
    about = {path for path in outputs() if re.search(r"{(corpus|collection|dataset)}", path)}
    undecided = {path for path in about if not path.startswith((*TEXTS, *NUMBERS))}
    assert undecided == set()
    named = "".join(withheld.OF_CORPUS + withheld.OF_DATASET)
    for path in TEXTS:
        folder = re.sub(r"{(backbone|splade|study)}", "*", path).partition("{")[0]
        assert f"/{folder}" in named, path


def test_dvc_is_told_of_every_study():
    told = (ROOT / withheld.FILE).read_text().splitlines()
    for study in STUDIES:
        assert set(withheld.patterns(resolved(study))) <= set(told), study
