"""Folders in BEIR layout: how their files may be laid out and written, and what is refused."""

import csv
import gzip
import logging

import pytest

from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora import beir
from redistil.storage import lineage
from redistil.storage.tables import PASSAGES, texts
from tests.made.collection import CORPUS, TEST, export, jsonl, redistil, tsv, write_folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set")


def test_texts_keep_their_order(folder, out):
    redistil("export-passages", out, "--corpus", {"folder": str(folder), "passages": 4})
    assert list(texts(out, PASSAGES).items()) == [
        ("d1", "One first words"),
        ("007", "second words"),
        ("3", "third\u2028words"),
        ("d4", ""),
    ]


def test_splits_select_their_judged_queries(folder, out, caplog):
    caplog.set_level(logging.INFO)
    queries, judged = export(folder, out, queries=2, qrels=3)
    assert queries == {"q1": "question 1", "q2": "question 2"}
    assert judged == [("q1", "007", 0), ("q1", "d1", 2), ("q2", "3", 1)]
    assert "queries without a judgement, left out: 1" in caplog.text


@pytest.mark.parametrize(
    ("file", "split"),
    [("qrels-dev.tsv", "dev"), ("qrels_dev.tsv", "dev"), ("qrels.dev.tsv", "dev")]
    + [("qrels/dev.tsv", "dev"), ("qrels.tsv", None)],
)
def test_qrels_lie_at_any_known_path(folder, out, file, split):
    (folder / file).write_text(tsv([("q3", "d1", 1)]))
    assert export(folder, out, split) == ({"q3": "question 3"}, [("q3", "d1", 1)])


def test_the_only_qrels_need_no_split(folder, out):
    assert export(folder, out, None) == export(folder, out)
    (folder / "qrels" / "dev.tsv").write_text(tsv([("q3", "d1", 1)]))
    with pytest.raises(BadSource, match="it has qrels/dev.tsv, qrels/test.tsv: name a `split`"):
        export(folder, out, None)


@pytest.mark.parametrize("second", ["qrels-test.tsv", "qrels/test.tsv.gz"])
def test_duplicate_split_qrels_are_refused(folder, out, second):
    (folder / second).write_bytes(gzip.compress(tsv(TEST).encode()))
    with pytest.raises(BadSource, match=r"split 'test', got qrels.*test.tsv.* and qrels"):
        export(folder, out)


def test_missing_splits_name_those_there(folder, out):
    with pytest.raises(BadSource, match="qrels/tset.tsv or qrels-tset.tsv.*it has qrels/test.tsv"):
        export(folder, out, "tset")
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(BadSource, match="it has none"):
        export(folder, out, "test")


STRANGE = [
    "a b",
    " edge ",
    "a/b/../c",
    "naïve 文",
    "a\tb",
    'say "so"',
    '"quoted"',
    "<b>&amp;",
    "a,b",
]


def test_any_id_is_kept(folder, out):
    """Blanks, slashes, other scripts; tabs and quotation marks where they are quoted."""
    (folder / "corpus.jsonl").write_text(
        jsonl([{"_id": name, "text": f"text {n}"} for n, name in enumerate(STRANGE)])
    )
    (folder / "queries.jsonl").write_text(
        jsonl([{"_id": f"q {name}", "text": f"question {n}"} for n, name in enumerate(STRANGE)])
    )
    with (folder / "qrels" / "test.tsv").open("w", newline="") as stream:
        rows = csv.writer(stream, delimiter="\t", lineterminator="\n")
        rows.writerow(beir.HEADER)
        rows.writerows((f"q {name}", name, 1) for name in STRANGE)
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert list(texts(out, PASSAGES)) == STRANGE
    queries, judged = export(folder, out, queries=len(STRANGE), qrels=len(STRANGE))
    assert sorted(judged) == sorted((f"q {name}", name, 1) for name in STRANGE)
    assert set(queries) == {f"q {name}" for name in STRANGE}


def test_unclosed_quotation_marks_swallow_nothing(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([*TEST, ('"q1', "d1", 1), ("q2", "d1", 1)]))
    with pytest.raises(BadSource, match="line 5: wanted a query"):
        export(folder, out)


def test_gzip_bom_and_newlines_change_nothing(folder, out):
    plain = export(folder, out)
    for name in ("corpus.jsonl", "queries.jsonl"):
        text = (folder / name).read_text(encoding="utf-8")
        marked = "\ufeff" + text.replace("\n", "\r\n") + "\r\n"
        (folder / f"{name}.gz").write_bytes(gzip.compress(marked.encode()))
        (folder / name).unlink()
    (folder / "qrels" / "test.tsv").write_bytes(
        b"\xef\xbb\xbf" + tsv(TEST).replace("\n", "\r\n").encode()
    )
    assert export(folder, out) == plain
    redistil("export-passages", out, "--corpus", {"folder": str(folder), "passages": 4})


def test_files_are_recorded_by_their_sums(folder):
    made = beir.sources({"folder": str(folder)}, {"split": "test"})
    sums = [item.settings["sha256"] for item in made]
    assert sums == [
        {path.name: lineage.sha256(path)}
        for path in (folder / "queries.jsonl", folder / "qrels/test.tsv")
    ]


@pytest.mark.parametrize("split", ["../test", "a/b", "", ".hidden", 7, "/etc/passwd"])
def test_paths_never_leave_the_folder(folder, split):
    with pytest.raises(BadSettings, match="is not the name of a split"):
        beir.sources({"folder": str(folder)}, {"split": split})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("not json", "line 5: wanted a JSON object"),
        ('["d9", "text"]', "line 5: wanted a JSON object"),
        ('{"text": "no id"}', "wanted an _id"),
        ('{"_id": true, "text": "no id"}', "wanted an _id"),
        ('{"_id": "d9"}', "wanted a `text`"),
        ('{"_id": "d9", "text": ["x"]}', "wanted a `text`"),
    ],
)
def test_bad_lines_are_named(folder, out, line, complaint):
    with (folder / "corpus.jsonl").open("a") as stream:
        stream.write(line)
    with pytest.raises(BadSource, match=complaint):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})


@pytest.mark.parametrize(
    "qrels",
    ["q1\td1\t1\n", "q1 0 d1 1\n", "", tsv([("q1", "d1", 0.5)]), tsv(TEST) + "q1\td1\n"],
)
def test_other_qrels_than_beirs_are_refused(folder, out, qrels):
    (folder / "qrels" / "test.tsv").write_text(qrels)
    with pytest.raises(BadSource, match="wanted"):
        export(folder, out)


def test_truncated_files_are_refused(folder, out):
    whole = gzip.compress(jsonl(CORPUS * 100).encode())
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadSource, match="cannot be read to its end"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    (folder / "corpus.jsonl.gz").unlink()
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "caf\xe9"}')
    with pytest.raises(BadSource, match="cannot be read to its end"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})


def test_missing_files_are_one_sentence(folder, out):
    with pytest.raises(BadSource, match="the folder does not exist"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder / "nowhere")})
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(BadSource, match=r"has no corpus.jsonl \(nor corpus.jsonl.gz\)"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
