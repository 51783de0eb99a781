"""Collections of ir_datasets: in processes of their own, for it fixes its home when imported."""

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from redistil.storage import lineage
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, texts
from tests.made import tiny
from tests.made.collection import ASKED, jsonl, tsv


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


@pytest.fixture
def home(tmp_path):
    """A home of ir_datasets that holds beir/scifact as BEIR publishes it, but for its size."""
    source = tmp_path / "home" / "beir" / "scifact" / "source.zip"
    source.parent.mkdir(parents=True)
    with zipfile.ZipFile(source, "w") as archive:
        rows = [
            {"_id": "4983", "title": "White matter", "text": "Alterations.", "metadata": {}},
            {"_id": "05", "title": "", "text": "Induction.", "metadata": {}},
        ]
        archive.writestr("scifact/corpus.jsonl", jsonl(rows))
        archive.writestr("scifact/queries.jsonl", jsonl([q | {"metadata": {}} for q in ASKED]))
        archive.writestr("scifact/qrels/test.tsv", tsv([("q1", "05", 1), ("q2", "4983", 1)]))
        archive.writestr("scifact/qrels/train.tsv", tsv([("q3", "05", 1)]))
    return tmp_path / "home"


def python(home, code, *args):
    environment = os.environ | {
        "IR_DATASETS_HOME": str(home),
        "IR_DATASETS_DL_TRIES": "1",
        "http_proxy": "http://127.0.0.1:9",  # nothing listens: no test reaches the network
        "https_proxy": "http://127.0.0.1:9",
    }
    words = [json.dumps(arg) if isinstance(arg, dict) else str(arg) for arg in args]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def passages(tmp_path, *doc_ids):
    rows = PASSAGES.rows({"doc_id": doc_ids, "text": ["some words"] * len(doc_ids)})
    PASSAGES.write(rows, tmp_path / "passages.parquet", tiny.MADE)
    return tmp_path / "passages.parquet"


MAIN = "from redistil.cli import main; main()"
SCIFACT = {"irds": "beir/scifact"}
SCIFACT_TEST = {"irds": "beir/scifact/test", "queries": 2, "qrels": 2}


def test_irds_passages(home, out):
    done = python(home, MAIN, "export-passages", out, "--corpus", SCIFACT | {"passages": 2})
    assert done.returncode == 0, done.stderr
    assert texts(out, PASSAGES) == {"4983": "White matter Alterations.", "05": "Induction."}
    (made,) = lineage.of(out).ancestors.values()
    assert made.who == "irds beir/scifact"
    assert made.settings == {"version": metadata.version("ir_datasets")}


def test_a_home_that_cannot_be_written_is_told(tmp_path, out):
    (tmp_path / "file").write_text("")
    done = python(tmp_path / "file/home", MAIN, "export-passages", out, "--corpus", SCIFACT)
    assert "set IR_DATASETS_HOME to a folder that may be written" in done.stderr, done.stderr


def test_irds_queries(home, tmp_path):
    files = tmp_path / "q.parquet", tmp_path / "r.parquet"
    line = ["export-queries", *files, "--passages", passages(tmp_path, "4983", "05")]
    done = python(home, MAIN, *line, "--corpus", SCIFACT, "--dataset", SCIFACT_TEST)
    assert done.returncode == 0, done.stderr
    assert texts(files[0], QUERIES) == {"q1": "question 1", "q2": "question 2"}
    assert [tuple(row.values()) for row in QRELS.read(files[1]).to_pylist()] == [
        ("q1", "05", 1),
        ("q2", "4983", 1),
    ]
    assert set(lineage.of(files[0]).inputs) == {
        "test test",
        "irds beir/scifact",
        "irds beir/scifact/test",
    }


def test_judgements_of_passages_that_are_not_there(home, tmp_path):
    """As with a folder: kept and counted, refused above the share that the dataset declares."""
    files = tmp_path / "q.parquet", tmp_path / "r.parquet"
    line = ["export-queries", *files, "--corpus", SCIFACT]
    line += ["--passages", passages(tmp_path, "4983"), "--dataset"]
    done = python(home, MAIN, *line, SCIFACT_TEST)
    assert done.returncode == 2 and "1 of 2 judgements name a passage that is not" in done.stderr
    assert "(first: '05')" in done.stderr and not files[0].exists()
    done = python(home, MAIN, *line, SCIFACT_TEST | {"missing_at_most": 0.5})
    assert done.returncode == 0, done.stderr
    assert "judgements of a passage that the corpus lacks, kept: 1" in done.stderr
    assert QRELS.read(files[1])["doc_id"].to_pylist() == ["05", "4983"]


def test_irds_refusals(home, out):
    """One process for all: importing the library takes most of the time."""
    code = """
        import json, sys
        from pathlib import Path
        from redistil.stages import corpora
        from redistil.stages.corpora import docpairs
        from redistil.errors import UserError
        from redistil.storage.lineage import Made

        out, made = Path(sys.argv[1]), Made("test", "it")
        scifact = {"irds": "beir/scifact"}

        def export(**corpus):
            corpora.export_passages(corpus, out, made)

        def queries(corpus=scifact, **dataset):
            corpora.export_queries(corpus, dataset, out, out, out.with_suffix(".r"), made)

        for name, job in {
            "short": lambda: export(irds="beir/scifact", passages=5183),
            "few": lambda: queries(irds="beir/scifact/test", queries=300),
            "unknown": lambda: export(irds="beir/scifakt"),
            "no qrels": lambda: queries(irds="beir/scifact"),
            "other": lambda: queries({"irds": "beir/nq"}, irds="beir/scifact/test"),
            "network": lambda: export(irds="beir/nfcorpus"),
            "licence": lambda: export(irds="disks45/nocr", licensed="disks45/corpus"),
            "no pairs": lambda: docpairs.export_docpairs("beir/scifact", 9, 1, out, made),
        }.items():
            try:
                job()
            except UserError as error:
                print(json.dumps([name, str(error)]))
    """
    (home / "disks45" / "corpus" / "elsewhere").mkdir(parents=True)
    done = python(home, code, out)
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert "5183 passages declared, 2 found" in said["short"]
    assert "300 queries declared, 2 found" in said["few"]
    assert "did you mean beir/scifact" in said["unknown"]
    assert "has no qrels" in said["no qrels"]
    assert "judges other passages" in said["other"]
    assert "check the network" in said["network"] and str(home) in said["network"]
    assert "are licensed" in said["licence"] and "disks45/corpus" in said["licence"]
    assert "has no docpairs" in said["no pairs"]
    assert all("\n" not in line for line in said.values())
    assert not out.exists()


def test_catalogue_counts_equal_the_librarys(home):
    """Every id exists, and every count is the one that ir_datasets publishes with it."""
    code = """
        import json, sys
        import ir_datasets, yaml

        params = yaml.safe_load(open(sys.argv[1]))
        wanted = {"corpora": {"passages": "docs"}, "datasets": dict.fromkeys(["queries", "qrels"])}
        for catalogue, keys in wanted.items():
            for entry in params[catalogue].values():
                if "irds" in entry:
                    found = ir_datasets.load(entry["irds"])
                    for key, kind in keys.items():
                        kind = kind or key
                        said = (found.metadata().get(kind) or {}).get("count")
                        print(json.dumps([entry["irds"], kind, found.has(kind), entry[key], said]))
    """
    done = python(home, code, Path(__file__).parents[3] / "params.yaml")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    counted = [row for row in rows if row[-1] is not None]
    assert len(counted) > 100 and len(rows) - len(counted) < 5
    for name, kind, has, declared, published in rows:
        assert has and published in (declared, None), (name, kind)


def test_libraries_are_imported_when_needed(home):
    done = python(
        home,
        """
        import sys
        import redistil.stages.corpora, redistil.stages.downloads
        import redistil.cli.corpora, redistil.cli.downloads
        print(*{"torch", "ir_datasets", "transformers", "ranx"} & set(sys.modules))
        """,
    )
    assert done.stdout.split() == [], done.stderr
