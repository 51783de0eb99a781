"""Training data for other libraries, read back as they read it.

sentence-transformers is in the development environment. `make peers` makes others for Lightning
IR, Tevatron and PyLate and runs what is marked `peers` there; elsewhere that is skipped. matchmaker
has no package: what its loader does with a line is written down here, from its source.
"""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import BadSettings, BadTable
from redistil.stages import exports
from redistil.storage import lineage
from redistil.storage.tables import LISTS, PASSAGES, QUERIES, TEACHER_SCORES, TRIPLES
from redistil.study.checks import ONE_NUMBER
from tests.made import tiny

MADE = tiny.MADE
ASKED = {"q1": "what is\tit", "q2": 'who says "so"', "007": "ünï?"}
DOCS = {f"d{i}": f"{word} {i}\nof a  passage, <b>" for i, word in enumerate(tiny.WORDS[:8])}
LISTED = [
    ("007", ["d5", "d1", "d0"], [0, 0, 0]),  # nobody judged: the best scored is the positive
    ("q1", ["d0", "d1", "d2", "d3"], [1, 1, 0, 0]),
    ("q2", ["d7", "d6"], [1, 0]),
]
TRIPLED = [("007", "d5", "d1"), ("q1", "d0", "d2"), ("q1", "d0", "d3"), ("q2", "d7", "d6")]


def score(query_id, doc_id):
    return float(np.float32(0.1 * len(query_id) + 1.7 * int(doc_id[1:]) - 4))


def write(path, table, rows):
    columns = {name: [row[i] for row in rows] for i, name in enumerate(table.schema.names)}
    table.write(table.rows(columns), path, MADE)
    return path


@pytest.fixture
def files(tmp_path):
    write(tmp_path / "queries.parquet", QUERIES, list(ASKED.items()))
    write(tmp_path / "passages.parquet", PASSAGES, list(DOCS.items()))
    write(tmp_path / "lists.parquet", LISTS, LISTED)
    write(tmp_path / "triples.parquet", TRIPLES, TRIPLED)
    pairs = {(q, d) for q, docs, _ in LISTED for d in docs} | {("q2", "d0")}
    scores = [(q, d, score(q, d)) for q, d in sorted(pairs)]
    write(tmp_path / "scores.parquet", TEACHER_SCORES, scores)
    return tmp_path


def export(files, library, kind="lists", scored=True, documents=3):
    documents = documents if library in ONE_NUMBER else None
    out = files / f"{library}-{kind}"
    names = (kind, "queries", "passages")
    counts = exports.export_training(
        library,
        tuple(files / f"{name}.parquet" for name in names),
        files / "scores.parquet" if scored else None,
        out,
        MADE,
        documents,
    )
    return out, counts


# --- sentence-transformers ------------------------------------------------------------------------


def test_sentence_transformers_reads_lists_with_scores(files):
    out, counts = export(files, "sentence-transformers")
    rows = pq.read_table(out / "train.parquet").to_pylist()
    assert counts == {"examples": 2, "left_out": 1}, "q2 has two passages"
    assert list(rows[0]) == ["query", "positive", "negative_1", "negative_2", "label"]
    assert rows[0]["positive"] == DOCS["d5"] and rows[1]["positive"] == DOCS["d1"]
    assert rows[1]["label"] == pytest.approx([score("q1", d) for d in ("d1", "d2", "d3")])


def test_sentence_transformers_reads_triples_with_margins(files):
    out, counts = export(files, "sentence-transformers", "triples", documents=2)
    rows = pq.read_table(out / "train.parquet").to_pylist()
    assert counts == {"examples": 4, "left_out": 0}
    assert list(rows[0]) == ["query", "positive", "negative", "score"]
    assert [row["score"] for row in rows] == pytest.approx(
        [score(q, p) - score(q, n) for q, p, n in TRIPLED]
    )


def test_unscored_exports_have_texts_alone(files):
    out, _ = export(files, "sentence-transformers", "triples", scored=False, documents=2)
    table = pq.read_table(out / "train.parquet")
    assert table.column_names == ["query", "positive", "negative"]
    assert table.to_pylist()[0] == {"query": "ünï?", "positive": DOCS["d5"], "negative": DOCS["d1"]}


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A cross-encoder of the library, with random weights."""
    import torch
    from sentence_transformers import CrossEncoder

    folder = tiny.checkpoint(tmp_path_factory.mktemp("model") / "bert")
    torch.manual_seed(1)
    found = CrossEncoder(str(folder), num_labels=1, max_length=32, device="cpu")
    torch.nn.init.normal_(found.model.classifier.weight, std=9.0)
    return found.eval()


@pytest.mark.parametrize("kind", ["lists", "triples"])
def test_the_teacher_itself_has_no_loss(files, cross_encoder, kind):
    """Its collator finds the labels, its loss the texts and which score belongs to which."""
    import torch
    from sentence_transformers.cross_encoder.losses import MarginMSELoss

    pairs = sorted({(q, d) for q, docs, _ in LISTED for d in docs})
    texts = [(ASKED[q], DOCS[d]) for q, d in pairs]
    logits = cross_encoder.predict(texts, activation_fn=torch.nn.Identity()).tolist()
    losses = {}
    for name, factor in (("itself", 1.0), ("another", -1.0)):
        rows = [(*pair, factor * logit) for pair, logit in zip(pairs, logits, strict=True)]
        write(files / "scores.parquet", TEACHER_SCORES, rows)
        out, _ = export(files, "sentence-transformers", kind, documents=3 - (kind == "triples"))
        inputs, labels = collated(pq.read_table(out / "train.parquet").to_pylist())
        losses[name] = MarginMSELoss(cross_encoder)(inputs, labels).item()
    assert losses["itself"] < 1e-9 < 1e-3 < losses["another"]


def collated(rows):
    """The columns and labels that the library's own collator makes of rows."""
    from sentence_transformers.cross_encoder.data_collator import CrossEncoderDataCollator

    batch = CrossEncoderDataCollator(lambda *texts, **how: {})(rows)
    label = batch.pop("label")
    columns = [name for name in rows[0] if name not in ("label", "score")]
    return [batch[name] for name in columns], label


# --- the others, for real -------------------------------------------------------------------------


def test_lightning_ir_is_given_a_run(files):
    out, counts = export(files, "lightning-ir")
    rows = pq.read_table(out / "run.parquet").to_pylist()
    assert counts == {"examples": 3, "left_out": 0} and len(rows) == 9
    best = [row["doc_id"] for row in rows if row["query_id"] == "q1"]
    assert best == sorted(best, key=lambda d: -score("q1", d))
    assert [row["rank"] for row in rows if row["query_id"] == "q1"] == [1, 2, 3, 4]


@pytest.mark.peers
def test_lightning_ir_itself_reads_a_run(files):
    data = pytest.importorskip("lightning_ir.data.dataset")
    out, _ = export(files, "lightning-ir")
    dataset = data.RunDataset(out / "run.parquet", depth=4, sample_size=2, targets="score")
    dataset._setup()
    samples = {sample.query_id: sample for sample in (dataset[i] for i in range(len(dataset)))}
    assert samples.keys() == ASKED.keys()
    assert samples["q1"].query == ASKED["q1"] and samples["q1"].docs == (DOCS["d3"], DOCS["d2"])
    assert samples["q1"].targets.ravel().tolist() == pytest.approx(
        [score("q1", "d3"), score("q1", "d2")]
    )


def test_runs_repeat_no_passage(files):
    out, _ = export(files, "lightning-ir", "triples")
    rows = pq.read_table(out / "run.parquet").to_pylist()
    pairs = [(row["query_id"], row["doc_id"]) for row in rows]
    assert sorted(pairs) == sorted({(q, d) for q, *docs in TRIPLED for d in docs})


def test_pylate_is_given_three_tables(files):
    out, _ = export(files, "pylate")
    names = ("queries", "documents", "train")
    queries, documents, train = (pq.read_table(out / f"{name}.parquet") for name in names)
    assert queries.to_pylist() == [{"query_id": q, "text": ASKED[q]} for q in sorted(ASKED)]
    assert (
        dict(zip(*(documents[c].to_pylist() for c in ("document_id", "text")), strict=True)) == DOCS
    )
    assert train.schema.field("scores").type.value_type == pa.float32()


@pytest.mark.peers
@pytest.mark.pylate
def test_pylate_itself_reads_three_tables(files):
    pytest.importorskip("pylate.utils")
    out, _ = export(files, "pylate")
    names = ("queries", "documents", "train")
    from datasets import Dataset
    from pylate.utils import KDProcessing

    q, d, t = (Dataset.from_parquet(str(out / f"{n}.parquet"), cache_dir=str(out)) for n in names)
    t.set_transform(KDProcessing(queries=q, documents=d, n_ways=3).transform)
    row = t[1]
    assert row["query"] == ASKED["q1"] and row["documents"] == [DOCS[d] for d in ("d0", "d1", "d2")]
    assert row["scores"] == pytest.approx([score("q1", d) for d in ("d0", "d1", "d2")])


def test_pylate_lists_are_equally_long(files):
    out, counts = export(files, "pylate")
    rows = pq.read_table(out / "train.parquet").to_pylist()
    assert counts == {"examples": 2, "left_out": 1}, "q2 has two passages"
    assert [row["document_ids"] for row in rows] == [["d5", "d1", "d0"], ["d0", "d1", "d2"]]
    assert rows[1]["scores"] == pytest.approx([score("q1", d) for d in ("d0", "d1", "d2")])


@pytest.mark.parametrize("library", exports.LIBRARIES)
def test_only_some_libraries_take_per_example(files, library):
    words = ["export-training", *(str(files / f"{n}.parquet") for n in ("lists", "queries"))]
    words += [str(files / "passages.parquet"), str(files / "out"), "--library", library]
    words += ["--teacher", str(files / "scores.parquet")]
    number = ["--per-example", "3"]
    good, bad = (number, []) if library in ONE_NUMBER else ([], number)
    said = "wants one number" if library in ONE_NUMBER else "takes all passages"
    refused = CliRunner().invoke(cli, [*words, *bad]).exception
    assert isinstance(refused, BadSettings) and f"--per-example: {library} {said}" in str(refused)
    assert not (files / "out").exists()
    assert CliRunner().invoke(cli, [*words, *good]).exit_code == 0


def test_tevatron_is_given_json_lines(files):
    out, _ = export(files, "tevatron")
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert [row["query_id"] for row in rows] == ["007", "q1", "q2"]
    (positive,) = rows[1]["positive_passages"]
    assert positive == {"docid": "d1", "title": "", "text": DOCS["d1"], "score": score("q1", "d1")}
    others = [passage["docid"] for passage in rows[1]["negative_passages"]]
    assert others == ["d2", "d3"], "a second positive is no negative"


@pytest.mark.peers
def test_tevatron_itself_reads_json_lines(files):
    preprocessor = pytest.importorskip("tevatron.datasets.preprocessor")
    out, _ = export(files, "tevatron")
    lines = (out / "train.jsonl").read_text().splitlines()

    class Words:
        def encode(self, text, **how):
            return text.split()

    read = preprocessor.TrainPreProcessor(Words(), separator=" ")(json.loads(lines[1]))
    assert read["query"] == ASKED["q1"].split()
    assert read["positives"] == [DOCS["d1"].split()]
    assert read["negatives"] == [DOCS[d].split() for d in ("d2", "d3")]


def lines_of_matchmaker(path, with_scores):
    """The lines of a file as matchmaker parts them; what does not fit is an error there.

    Both its readers, ConcatenatedTrainingDatasetReader (BERT_CAT) and
    IndependentTrainingDatasetReader (the others), do so in `_read`: see
    github.com/sebastian-hofstaetter/matchmaker at cb1d35d, matchmaker/dataloaders/
    concatenated_training_loader.py and independent_training_loader.py. Its option
    train_pairwise_distillation asks for the scores.
    """
    with path.open("r", encoding="utf8") as lines:  # and so a carriage return ends a line too
        parts = [line.strip("\n").split("\t") for line in lines if line.strip("\n")]
    assert {len(part) for part in parts} == {5 if with_scores else 3}, "Invalid line format"
    return [(*map(float, part[:-3]), *part[-3:]) for part in parts]


@pytest.mark.parametrize("scored", [True, False])
def test_matchmaker_reads_a_number_of_columns(files, scored):
    odd = "a\ttab, a\r\nline,\x0b\x1c\x85\u2028 and more"
    write(files / "passages.parquet", PASSAGES, [*(DOCS | {"d2": odd}).items()])
    out, counts = export(files, "matchmaker", "triples", scored)
    lines = lines_of_matchmaker(out / "train.tsv", scored)
    assert len(lines) == counts["examples"] == 4, "whatever tabs and line ends texts have"
    positive, negative = "alpha 0 of a passage, <b>", "a tab, a line, and more"
    assert lines[1][-3:] == ("what is it", positive, negative)
    if scored:
        found = [np.float32(value) for value in lines[1][:2]]
        assert found == [score("q1", "d0"), score("q1", "d2")], "float32 values, whole"


# --- all of them ----------------------------------------------------------------------------------

every_library = pytest.mark.parametrize("library", exports.LIBRARIES)


@every_library
def test_exports_are_described_and_repeatable(files, library):
    out, counts = export(files, library)
    card = json.loads((out / "card.json").read_text())
    assert card["library"] == library and card["examples"] == counts["examples"]
    assert card["scores"].startswith("raw logits") and lineage.of(out) == MADE
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    export(files, library)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not any(name.startswith(".") for name in before)


def test_killed_exports_leave_no_rest(files):
    """Texts are copied beside it, in a folder that the next export of that name removes."""
    code = "import os, pyarrow.parquet as pq; pq.ParquetWriter.write_table = lambda *a: os._exit(9)"
    words = ["export-training", *(str(files / f"{n}.parquet") for n in ("lists", "queries"))]
    words += [str(files / "passages.parquet"), str(files / "out"), "--library", "lightning-ir"]
    words += ["--teacher", str(files / "scores.parquet")]
    command = [sys.executable, "-c", f"{code}; from redistil.cli import main; main()", *words]
    before = {path.name for path in files.iterdir()}
    assert subprocess.run(command).returncode == 9
    assert {path.name for path in files.iterdir()} == before | {"out", ".out.scratch", ".out.claim"}
    assert not [path for path in (files / "out").iterdir() if path.name in exports.FILES]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert {path.name for path in files.iterdir()} == before | {"out"}
    left = {path.name for path in (files / "out").iterdir()}
    assert left == {"card.json", "made.json", "run.parquet"}


@every_library
def test_exports_remove_another_librarys_files(files, library):
    out, _ = export(files, library)
    written = {path.name for path in out.iterdir()}
    assert written <= {"made.json", *exports.FILES}
    for name in (*exports.FILES, "notes.txt"):
        (out / name).touch()
    export(files, library)
    assert {path.name for path in out.iterdir()} == written | {"notes.txt"}


@every_library
def test_missing_texts_leave_exports_unfinished(files, library):
    if library == "pylate":
        pytest.skip("it joins the texts itself")
    write(files / "passages.parquet", PASSAGES, [item for item in DOCS.items() if item[0] != "d2"])
    with pytest.raises(BadTable, match="1 of .* ids are not in .*passages.parquet .first: 'd2'"):
        export(files, library)
    assert not (files / f"{library}-lists" / "made.json").exists()


@pytest.mark.parametrize("library", ["lightning-ir", "pylate"])
def test_scores_need_a_teacher(files, library):
    with pytest.raises(BadSettings, match=f"{library} reads scores: name a teacher"):
        export(files, library, scored=False)


def test_too_many_passages_are_refused(files):
    with pytest.raises(BadTable, match="no example has 9 passages"):
        export(files, "sentence-transformers", documents=9)


def test_the_command_counts_aloud(files):
    names = ("lists", "queries", "passages")
    words = ["export-training", *(str(files / f"{name}.parquet") for name in names)]
    words += [str(files / "out"), "--teacher", str(files / "scores.parquet")]
    words += "--library sentence-transformers --per-example 3".split()
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "2 examples; 1 left out, shorter than 3" in result.stderr
    assert lineage.of(files / "out").settings == {
        "library": "sentence-transformers",
        "per_example": 3,
    }


class Hashed(str):
    """A passage's id that counts how often it is looked up."""

    looked_up = 0

    def __hash__(self) -> int:
        Hashed.looked_up += 1
        return super().__hash__()


def test_triples_are_gathered_in_one_pass():
    """A published query may have thousands: work that grows with their square never ends."""
    examples = (
        exports.Example("q", "q", [Hashed("p"), Hashed(f"d{i}")], ["", ""], [1, 0], [1.0, -i])
        for i in range(300)
    )
    (found,) = exports._grouped(examples)
    assert found.doc_ids == ["p", *(f"d{i}" for i in range(300))]
    assert found.scores == [1.0, *(-float(i) for i in range(300))]
    assert Hashed.looked_up < 10 * 300
