"""A user's own collection, the whole way: the study that its page shows, on a small folder."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path

import pytest
import yaml

from redistil.storage.tables import QRELS, QUERIES, RUN, texts
from redistil.study.overlays import merged
from tests.made import tiny
from tests.pipeline.conftest import House, clone

PAGE = Path(__file__).parents[2] / "docs/own-collection.md"
SMALLER = {  # laid on top, as one would to try a study out
    "grid": {"seeds": [1]},
    "training": {
        "checkpoint_every": 2,
        "log_every": 2,
        "sizes": {"tiny": {"steps": 4, "warmup_steps": 1}},
    },
    "reranking": {"depth": 5},
    "statistics": {"resamples": 200},
}

# ids as people have them, in the order of the words that each passage is about
IDS = ["plain", "007", "with blank", "a/b/../c", "naïve 文", 'say "so"', "<b>&amp;", "a\tb"]


def jsonl(rows, end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


def tsv(rows):
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([("query-id", "corpus-id", "score"), *rows])
    return text.getvalue()


def collection(root):
    """Write a small collection with what real ones have wrong: it is counted, and stops nothing."""
    (root / "qrels").mkdir(parents=True)
    words = tiny.WORDS[: len(IDS)]
    passages = [
        {"_id": name, "title": word, "text": f"{word} {word} and more"}
        for name, word in zip(IDS, words, strict=True)
    ]
    others = {f"other {n}": text for n, text in enumerate(tiny.texts(40, "d").values())}
    passages += [{"_id": name, "text": text} for name, text in others.items()]
    passages.append({"_id": "empty", "title": "", "text": ""})
    (root / "corpus.jsonl").write_text("\ufeff" + jsonl(passages, "\r\n"), encoding="utf-8")
    queries = [
        {"_id": f"{split} {name}", "text": f"{word} {split}"}
        for split in ("train", "test")
        for name, word in zip(IDS, words, strict=True)
    ]
    (root / "queries.jsonl").write_text(jsonl(queries), encoding="utf-8")
    train = [(f"train {name}", name, 1) for name in IDS]
    test = [(f"test {name}", name, 1) for name in IDS]
    test += [("test plain", "gone", 1), ("nobody", "plain", 1)]
    (root / "qrels/train.tsv").write_text(tsv(train), encoding="utf-8")
    (root / "qrels/test.tsv").write_text(tsv(test), encoding="utf-8")


def block(name):
    """Return a study that the page shows."""
    pattern = rf"^```yaml\n(# studies/{name}\.yaml.*?)^```"
    (text,) = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return text


def shown():
    """Return the study that the page shows first, and the folders that it names."""
    text = block("mine")
    study = yaml.safe_load(text)
    (corpus,), (backbone,) = study["corpora"].values(), study["backbones"].values()
    return text, corpus["folder"], backbone["folder"]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    house = clone(tmp_path_factory.mktemp("own"))
    text, corpus, checkpoint = shown()
    smaller = yaml.safe_dump(merged(yaml.safe_load(text), SMALLER))
    (house.root / "studies/mine.yaml").write_text(smaller)
    house.edit("params.yaml", "study: miniature", "study: mine")
    collection(house.root / corpus)
    tiny.checkpoint(house.root / checkpoint)
    return house


def test_the_study_is_short():
    assert len(shown()[0].splitlines()) < 25


def test_it_reports_and_counts_omissions(house):
    """By DVC, which wants every output to be there, the folder of a teacher that it lacks too."""
    warned, _, where = house.run("dvc", "repro").rpartition("leaderboard:")
    assert "page:" in where
    for count in (
        "passages/mine.log: folder",
        "passages without text: 1 of 49",
        "judgements of an unknown query, left out: 1",
        "judgements of a passage that the corpus lacks, kept: 1",
        "relevant passages of data/corpora/qrels/mine-test.parquet are relevant to training",
    ):
        assert count in warned, count
    table = house.root / "results/mine/report/tables/leaderboard.csv"
    rows = csv.DictReader(table.read_text().splitlines())
    assert {row["system"] for row in rows} >= {"bm25", "random"}
    page = (house.root / "results/mine/report/index.html").read_text(encoding="utf-8")
    assert "judgements of an unknown query, left out: 1" in page
    assert house.planned() == {}
    assert "up to date" in house.run("dvc", "status")
    exported = (house.root / "data/corpora/passages").iterdir()
    assert [path.name for path in exported if path.suffix == ".parquet"] == ["mine.parquet"]


def test_test_queries_alone_are_a_study(house):
    """Without training queries first stages are compared, and nothing is trained."""
    (house.root / "studies/tested.yaml").write_text(block("tested"))
    house.run("snakemake", "--config", "study=tested")
    table = house.root / "results/tested/report/tables/leaderboard.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["system"] for row in rows} == {"bm25", "words", "random"}
    assert not (house.root / "results/tested/models").exists()


def test_dots_in_names_match_only_dots(house):
    """Names become the patterns of wildcards, of a kind each: bm25.x is not what bm25-x is."""
    stages = yaml.safe_load((house.root / "params.yaml").read_text())["first_stages"]
    alike = {"bm25.x": stages["bm25"], "bm25-x": stages["tiny-splade"]}
    change = {"first_stages": alike, "grid": {"baselines": list(alike)}}
    (house.root / "alike.yaml").write_text(yaml.safe_dump(change))
    planned = house.planned("--configfile", "alike.yaml")
    assert (planned["retrieve_bm25"], planned["retrieve"]) == (1, 1)


def test_every_id_arrives_unchanged(house):
    data = house.root / "data"
    asked = texts(data / "corpora/queries/mine-test.parquet", QUERIES)
    assert set(asked) == {f"test {name}" for name in IDS}
    judged = QRELS.read(data / "corpora/qrels/mine-test.parquet").to_pylist()
    kept = {(f"test {name}", name) for name in IDS} | {("test plain", "gone")}
    assert {(row["query_id"], row["doc_id"]) for row in judged} == kept
    best = RUN.read(data / "candidates/bm25/mine-test.parquet")
    found = {row["query_id"]: row["doc_id"] for row in best.to_pylist() if row["rank"] == 1}
    assert found == {f"test {name}": name for name in IDS}
    (rerun,) = (house.root / "results/mine/runs").glob("*/*/1/mine-test.parquet")
    assert set(RUN.read(rerun)["query_id"].to_pylist()) == set(asked)


def test_an_edited_source_file_is_noticed(house):
    _, corpus, checkpoint = shown()
    edits = {
        f"{corpus}/corpus.jsonl": {"export_passages", "export_queries"},
        f"{corpus}/qrels/test.tsv": {"export_queries"},
        f"{checkpoint}/model.safetensors": {"fetch"},
    }
    for file, wanted in edits.items():
        path = house.root / file
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        planned = house.planned()
        made = {"export_passages", "export_queries", "fetch"}
        path.write_bytes(kept)
        assert planned.keys() & made == wanted, file
        assert house.planned() == {}


def test_hand_placed_files_are_checked_first(house):
    """Its publisher cannot be reached: it is neither fetched, nor taken unseen, nor deleted."""
    placed, out = (
        house.root / path
        for path in ("data/downloads/theirs.run", "data/candidates/theirs/mine-test.parquet")
    )
    placed.parent.mkdir(parents=True)
    rows = [(f"test {name}", "Q0", name, 1, 9.5, "tag") for name in IDS if "\t" not in name]
    placed.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    right = hashlib.md5(placed.read_bytes()).hexdigest()

    def build(md5, ok):
        file = {"url": "http://127.0.0.1:9/theirs.run", "md5": md5}
        change = {"downloads": {"theirs.run": file}}
        change["first_stages"] = {"theirs": {"import": "theirs.run"}}
        (house.root / "theirs.yaml").write_text(yaml.safe_dump(change))
        target = str(out.relative_to(house.root))
        return house.run(
            "snakemake", "--configfile", "theirs.yaml", "--retries", "0", "--", target, ok=ok
        )

    said = build("0" * 32, ok=False)
    assert f"md5 {'0' * 32} declared, {right} found" in said
    assert placed.exists() and not out.exists()
    build(right, ok=True)
    assert len(RUN.read(out)) == len(rows) and placed.with_name("theirs.run.json").exists()


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("corpus.jsonl", jsonl([{"_id": "d", "text": "x"}] * 2), "1 of 2 passages repeat a doc_id"),
        ("corpus.jsonl", None, "has no corpus.jsonl"),
        ("qrels/test.tsv", None, "wanted qrels/test.tsv or qrels-test.tsv"),
    ],
)
def test_unusable_files_end_in_one_sentence(house, file, text, complaint):
    path = house.root / shown()[1] / file
    kept = path.read_bytes()
    try:
        path.unlink()
        if text is not None:
            path.write_text(text)
        out = house.root / "out.parquet"
        words = ["--corpus", json.dumps({"folder": shown()[1]})]
        command = ["export-passages", str(out)]
        if file.startswith("qrels"):
            passages = "data/corpora/passages/mine.parquet"
            command = ["export-queries", str(out), f"{out}.qrels", "--passages", passages]
            command += ["--dataset", '{"split": "test"}']
        said = house.run("redistil", *command, *words, ok=False)
        assert complaint in said and "Traceback" not in said and not out.exists()
    finally:
        path.write_bytes(kept)


def test_folders_and_titles_may_have_braces(house):
    """Snakemake reads them as wildcards: a digest of the files stands for the inputs."""
    corpus, checkpoint = "my {corpus}", "my {set}/checkpoint"
    collection(house.root / corpus)
    tiny.checkpoint(house.root / checkpoint)
    dataset = {"corpus": "braced", "split": "test", "relevant_from": 1}
    change = {
        "title": "My {title}",
        "corpora": {"braced": {"folder": corpus}},
        "datasets": {"braced-test": dataset},
        "backbones": {"braced": {"folder": checkpoint}},
    }
    (house.root / "braced.yaml").write_text(yaml.safe_dump(change))
    targets = [
        "data/corpora/passages/braced.parquet",
        "data/corpora/qrels/braced-test.parquet",
        "data/backbones/braced/made.json",
        "results/mine/study.yaml",
    ]
    flags = ["--configfile", "braced.yaml", "--", *targets]
    made = {"export_passages", "export_queries", "fetch", "resolve"}
    assert house.planned(*flags).keys() == made
    house.run("snakemake", *flags)
    assert house.planned(*flags) == {}
    edits = {
        f"{corpus}/corpus.jsonl": {"export_passages", "export_queries"},
        f"{corpus}/qrels/test.tsv": {"export_queries"},
        f"{checkpoint}/model.safetensors": {"fetch"},
    }
    for file, stale in edits.items():
        path = house.root / file
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        assert house.planned(*flags).keys() == stale, file
        path.write_bytes(kept)


def test_a_configfile_is_read_as_a_study(house):
    """A key that it says twice is refused; JSON may have tabs."""
    twice = "reranking: {depth: 4}\ntitle: x\nreranking: {depth: 3}\n"
    (house.root / "twice.yaml").write_text(twice)
    said = house.run("snakemake", "-n", "--configfile", "twice.yaml", ok=False)
    assert "twice.yaml: reranking is said twice, in line 1 and in line 3: keep one" in said
    (house.root / "tabs.json").write_text(json.dumps({"title": "Tabs"}, indent="\t"))
    assert house.planned("--configfile", "tabs.json")


def test_yes_and_no_are_words_in_settings(house):
    """DVC writes params.yaml by YAML 1.2, where they need no quotation marks."""
    entry = (
        "{folder: theirs, form: yes-no, yes: yes, no: no, prompt: '{query} {passage}', "
        "architecture: cat, query_length: 32, passage_length: 64, pair_length: 99, "
        "pair_form: native}"
    )
    (house.root / "words.yaml").write_text(f"checkpoints:\n  theirs: {entry}\n")
    assert house.planned("--configfile", "words.yaml")
    house.edit("params.yaml", "checkpoints:\n", f"checkpoints:\n  theirs: {entry}\n")
    assert house.planned()
    house.run("git", "checkout", "--quiet", "HEAD", "--", "params.yaml")
