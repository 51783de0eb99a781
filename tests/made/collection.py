"""A collection of four texts as BEIR lays it out, and how a command of ours is run."""

import json

from redistil.cli import cli
from redistil.storage.tables import QRELS, QUERIES, texts


def redistil(*args):
    """Run a command of ours; entries may be given as they are."""
    words = [json.dumps(arg) if isinstance(arg, dict) else str(arg) for arg in args]
    cli.main(args=words, prog_name="redistil", standalone_mode=False)


CORPUS = [
    {"_id": "d1", "title": "One", "text": "first words", "metadata": {}},
    {"_id": "007", "title": "", "text": "second words"},
    {"_id": 3, "text": "third\u2028words"},
    {"_id": "d4", "title": "", "text": ""},
]
ASKED = [{"_id": f"q{n}", "text": f"question {n}"} for n in (2, 1, 3)]
TEST = [("q1", "d1", 2), ("q1", "007", 0), ("q2", "3", 1)]


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def tsv(rows):
    return "query-id\tcorpus-id\tscore\n" + "".join("{}\t{}\t{}\n".format(*row) for row in rows)


def write_folder(root):
    """Write CORPUS, ASKED and TEST as BEIR lays a collection out."""
    (root / "qrels").mkdir(parents=True)
    (root / "corpus.jsonl").write_text(jsonl(CORPUS), encoding="utf-8")
    (root / "queries.jsonl").write_text(jsonl(ASKED), encoding="utf-8")
    (root / "qrels" / "test.tsv").write_text(tsv(TEST), encoding="utf-8")
    return root


def exported_passages(folder):
    passages = folder / "passages.parquet"
    redistil("export-passages", passages, "--corpus", {"folder": str(folder)})
    return passages


def export(folder, out, split="test", **declared):
    """Return the queries and judgements that a folder's split gives."""
    queries, qrels = out.with_suffix(".q.parquet"), out.with_suffix(".r.parquet")
    dataset = {"split": split} if split else {}
    files = queries, qrels, "--passages", exported_passages(folder)
    corpus = {"folder": str(folder)}
    redistil("export-queries", *files, "--corpus", corpus, "--dataset", dataset | declared)
    judged = [tuple(row.values()) for row in QRELS.read(qrels).to_pylist()]
    return texts(queries, QUERIES), judged
