"""Corpora: what is exported, what is left out, and what is refused, for each kind of collection."""

import csv
import gzip
import json
import logging
import os
import subprocess
import sys
import textwrap
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from redistil import corpora, lineage, seeds
from redistil.cli import cli
from redistil.corpora import beir, pydocs
from redistil.corpora.entries import Topics
from redistil.errors import BadSettings, BadSource
from redistil.tables import PASSAGES, QRELS, QUERIES, texts

REST = "It takes every one of the ten words that a passage needs, and these are more."


def redistil(*args):
    """Run a command of ours; entries may be given as they are."""
    words = [json.dumps(arg) if isinstance(arg, dict) else str(arg) for arg in args]
    cli.main(args=words, prog_name="redistil", standalone_mode=False)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


# --- docstrings -------------------------------------------------------------------------------

SOURCE = '''
"""Greet the whole wide world politely.

{rest} This is the module.
"""
raise RuntimeError("a source is read, never run")


class Greeter:
    """Hold what is needed for greeting.

    {rest} This is the class.
    """

    def greet(self):
        """Say something kind to everybody\\there.

        {rest}\\n\\n        This is   the method.
        """
        def inner():
            """Do a thing that nobody sees.

            {rest} This is within.
            """

    def leave(self):
        """Much too short.

        {rest} This would be
        """

    def echo(self):
        """Return what was said to me.

        {rest} This will return what was said to me.
        """

if sys.platform == "win32":
    async def wave():
        """Wave a hand instead of speaking.

        {rest} This is the first.
        """
else:
    def wave():
        """Wave the other hand, not speaking.

        {rest} This is the second.
        """

def bow():
    """Bow as deep as you can.

    Too little follows.
    """

def first():
    """Repeat a summary word by word.

    {rest} This is one of two.
    """

def second():
    """REPEAT a summary word by word.

    {rest} This is two of two.
    """

def third():
    """Share a passage with the fourth.

    {rest} This is shared.
    """

def fourth():
    """Share a passage with the third.

    {rest} This is shared.
    """
'''.replace("{rest}", REST)


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "site" / "politeness"
    for file, text in {
        "__init__.py": SOURCE,
        "deep/more.py": f'"""Describe a module further down here.\n\n{REST} Far below.\n"""',
        "tests/test_it.py": f'"""Test the thing over and over.\n\n{REST} A test.\n"""',
        "test_other.py": f'"""Test the other over and over.\n\n{REST} Other test.\n"""',
        "_vendor/copy.py": f'"""Copy what somebody else has written.\n\n{REST} A copy.\n"""',
        "broken.py": f'"""Break the language in two halves.\n\n{REST}\n"""\nprint "old"',
    }.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "politeness"


def test_a_docstring_is_a_query_and_a_passage(package):
    pairs = {pair.doc_id: pair for pair in pydocs.pairs([package])}
    assert sorted(pairs) == [
        "politeness",
        "politeness.Greeter",
        "politeness.Greeter.greet",
        "politeness.deep.more",
        "politeness.wave",
    ]
    assert pairs["politeness.Greeter.greet"].query == "Say something kind to everybody here."
    assert pairs["politeness.Greeter.greet"].passage == f"{REST} This is the method."
    assert pairs["politeness.wave"].passage.endswith("the first.")


def test_a_package_is_read_and_never_imported(package, out):
    redistil("export-passages", out, "--corpus", {"pydocs": [package]})
    assert package not in sys.modules


def test_what_is_no_source_of_this_python_is_counted(package, caplog):
    pydocs.pairs([package])
    assert "1 of 3 files left out" in caplog.text


def test_a_blank_stands_where_the_package_fills_words_in(tmp_path, monkeypatch):
    text = f"Compute the thing for all.\n\n%(before_notes)s\n\n{REST}"
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "__init__.py").write_text(f'"""{text}"""')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [pair.passage for pair in pydocs.pairs(["filled"])] == [REST]


def test_pydocs_on_disk(package, out, tmp_path):
    corpus = {"pydocs": [package]}
    queries, qrels = tmp_path / "queries.parquet", tmp_path / "qrels.parquet"
    redistil("export-passages", out, "--corpus", corpus)
    redistil("export-queries", queries, qrels, "--corpus", corpus, "--dataset", {"part": "all"})
    passages = texts(out, PASSAGES)
    assert list(passages) == sorted(passages)
    judged = QRELS.read(qrels).to_pylist()
    assert {row["query_id"] for row in judged} == set(texts(queries, QUERIES))
    assert all(row["query_id"] == f"q:{row['doc_id']}" for row in judged)
    assert {row["doc_id"] for row in judged} == set(passages)
    assert {row["relevance"] for row in judged} == {1}


def test_equal_sources_give_equal_bytes(package, tmp_path):
    for name in ("one", "two"):
        redistil(
            "export-passages", tmp_path / name, "--corpus", {"pydocs": [package]}, "--name", "same"
        )
    assert lineage.sha256(tmp_path / "one") == lineage.sha256(tmp_path / "two")


def test_versions_are_part_of_the_record(tmp_path):
    corpus = {"pydocs": ["click", "python"]}
    made = {item.who: item.settings for item in pydocs.sources(corpus)}
    assert made["package click"] == {"version": metadata.version("click")}
    assert made["package python"]["version"].startswith(f"3.{sys.version_info.minor}.")
    queries, qrels = tmp_path / "q.parquet", tmp_path / "r.parquet"
    corpus = {"pydocs": ["click"]}
    redistil("export-queries", queries, qrels, "--corpus", corpus, "--dataset", {"part": "all"})
    assert "package click" in lineage.of(queries).inputs
    assert lineage.of(queries) == lineage.of(qrels)


def test_parts_share_nothing_and_are_everything():
    shares = {"dev": 0.2, "test": 0.3}
    corpus = {"pydocs": ["click"]}
    ids = {
        part: set(pydocs.topics(corpus, {"part": part, **shares}).queries) for part in pydocs.PARTS
    }
    apart = [ids["train"], ids["dev"], ids["test"]]
    assert all(apart)
    assert set.union(*apart) == ids["all"]
    assert sum(map(len, apart)) == len(ids["all"])


def test_the_part_of_a_query_hangs_on_its_text_alone():
    queries = [f"query number {n}" for n in range(4000)]
    for share in (0.0, 0.1, 0.4):
        found = [pydocs.part(query, 0.0, share) for query in queries].count("test") / len(queries)
        assert abs(found - share) < 0.03
    assert all(
        pydocs.part(query, 0.1, 0.2) == "test" for query in queries if seeds.fraction(query) < 0.2
    )


def test_at_most_keeps_a_stable_choice():
    """The choice hangs on the texts alone: not on names, and hardly on which others there are."""
    corpus, everything = {"pydocs": ["click"]}, {"part": "all"}
    few = pydocs.topics(corpus, everything | {"at_most": 5}).queries
    more = pydocs.topics(corpus, everything | {"at_most": 9}).queries
    assert (len(few), len(more)) == (5, 9)
    assert set(few) < set(more)
    last = max(seeds.fraction(f"at most: {text}") for text in more.values())
    others = set(pydocs.topics(corpus, everything).queries.values()) - set(more.values())
    assert others and all(seeds.fraction(f"at most: {text}") > last for text in others)


@pytest.mark.parametrize(
    ("dataset", "complaint"),
    [
        ({"part": "middle"}, "'middle'"),
        ({"part": "train"}, "`dev`"),
        ({"part": "train", "dev": 0.5, "test": 0.5}, "nothing to train on"),
        ({"part": "train", "dev": -0.1, "test": 0.5}, "`dev`"),
        ({"part": "all", "at_most": 0}, "`at_most`"),
        ({"part": "all", "atmost": 3}, "unknown atmost"),
    ],
)
def test_impossible_parts_are_refused(dataset, complaint):
    with pytest.raises(BadSettings, match=complaint):
        pydocs.topics({"pydocs": ["click"]}, dataset)


@pytest.mark.parametrize("packages", [[], "python", ["os.path"], ["click", "click"], [3]])
def test_only_top_level_packages_are_read(packages):
    with pytest.raises(BadSettings):
        pydocs.sources({"pydocs": packages})


def test_a_package_that_is_not_installed_is_one_sentence():
    with pytest.raises(BadSource, match="no_such_package, but it is not an installed package"):
        pydocs.sources({"pydocs": ["no_such_package"]})


def test_the_standard_library_is_found():
    modules = {module for module, _ in pydocs._files("python")}
    assert {"textwrap", "json.decoder", "email"} <= modules
    assert not any(part in pydocs.TESTS for name in modules for part in name.split("."))
    assert not any("site-packages" in name for name in modules)


# --- folders in BEIR layout -------------------------------------------------------------------

CORPUS = [
    {"_id": "d1", "title": "One", "text": "first words", "metadata": {}},
    {"_id": "007", "title": "", "text": "second words"},
    {"_id": 3, "text": "third\u2028words"},
    {"_id": "d4", "title": "", "text": ""},
]
TOPICS = [{"_id": f"q{n}", "text": f"question {n}"} for n in (2, 1, 3)]
TEST = [("q1", "d1", 2), ("q1", "007", 0), ("q2", "3", 1)]


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def tsv(rows):
    return "query-id\tcorpus-id\tscore\n" + "".join("{}\t{}\t{}\n".format(*row) for row in rows)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    (root / "qrels").mkdir(parents=True)
    (root / "corpus.jsonl").write_text(jsonl(CORPUS), encoding="utf-8")
    (root / "queries.jsonl").write_text(jsonl(TOPICS), encoding="utf-8")
    (root / "qrels" / "test.tsv").write_text(tsv(TEST), encoding="utf-8")
    return root


def export(folder, out, split="test", **declared):
    """Return the queries and judgements that a folder's split gives."""
    queries, qrels = out.with_suffix(".q.parquet"), out.with_suffix(".r.parquet")
    dataset = {"split": split} if split else {}
    corpus = {"folder": str(folder)}
    redistil("export-queries", queries, qrels, "--corpus", corpus, "--dataset", dataset | declared)
    judged = [tuple(row.values()) for row in QRELS.read(qrels).to_pylist()]
    return texts(queries, QUERIES), judged


def test_a_folder_gives_its_texts_in_order(folder, out):
    redistil("export-passages", out, "--corpus", {"folder": str(folder), "documents": 4})
    assert list(texts(out, PASSAGES).items()) == [
        ("d1", "One first words"),
        ("007", "second words"),
        ("3", "third\u2028words"),
        ("d4", ""),
    ]


def test_passages_without_text_are_kept_and_counted(folder, out, caplog):
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert "1 of 4 passages have no text" in caplog.text


def test_a_folder_gives_the_queries_that_a_split_judges(folder, out, caplog):
    caplog.set_level(logging.INFO)
    queries, judged = export(folder, out, queries=2, qrels=3)
    assert queries == {"q1": "question 1", "q2": "question 2"}
    assert judged == [("q1", "007", 0), ("q1", "d1", 2), ("q2", "3", 1)]
    assert "judges 2 of 3 queries" in caplog.text


@pytest.mark.parametrize(
    ("file", "split"),
    [("qrels-dev.tsv", "dev"), ("qrels_dev.tsv", "dev"), ("qrels.dev.tsv", "dev")]
    + [("qrels/dev.tsv", "dev"), ("qrels.tsv", None)],
)
def test_qrels_are_found_where_folders_have_them(folder, out, file, split):
    (folder / file).write_text(tsv([("q3", "d1", 1)]))
    assert export(folder, out, split) == ({"q3": "question 3"}, [("q3", "d1", 1)])


def test_the_only_qrels_need_no_split(folder, out):
    assert export(folder, out, None) == export(folder, out)
    (folder / "qrels" / "dev.tsv").write_text(tsv([("q3", "d1", 1)]))
    with pytest.raises(BadSource, match="it has qrels/dev.tsv, qrels/test.tsv: name a `split`"):
        export(folder, out, None)


def test_a_split_that_is_not_there_is_told_which_are(folder, out):
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


def test_ids_are_kept_whatever_is_in_them(folder, out):
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


def test_a_quotation_mark_that_is_not_closed_swallows_nothing(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([*TEST, ('"q1', "d1", 1), ("q2", "d1", 1)]))
    with pytest.raises(BadSource, match="line 5: wanted a query"):
        export(folder, out)


def test_queries_without_text_are_kept_and_counted(folder, out, caplog):
    (folder / "queries.jsonl").write_text(jsonl([TOPICS[0], {"_id": "q1", "text": " "}]))
    assert export(folder, out)[0] == {"q1": "", "q2": "question 2"}
    assert "1 of 2 judged queries have no text" in caplog.text


def test_gzip_marks_and_line_ends_change_nothing(folder, out):
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
    redistil("export-passages", out, "--corpus", {"folder": str(folder), "documents": 4})


def test_files_are_recorded_by_their_sums(folder):
    made = beir.sources({"folder": str(folder)}, {"split": "test"})
    sums = [item.settings["sha256"] for item in made]
    assert sums == [
        {path.name: lineage.sha256(path)}
        for path in (folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels/test.tsv")
    ]


def test_dangling_judgements_are_left_out_aloud(folder, out, caplog):
    rows = [*TEST, ("q1", "gone", 1), ("q9", "d1", 1), ("q9", "007", 1), ("q3", "gone", 1), TEST[0]]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    queries, judged = export(folder, out)
    assert set(queries) == {"q1", "q2"}
    assert sorted(judged) == sorted(TEST)
    for count, what in ((2, "a query that"), (2, "a passage that"), (1, "repeat"), (1, "queries")):
        assert any(f": {count} " in line and what in line for line in caplog.messages), what


def test_two_minds_about_one_pair_are_refused(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([("q1", "d1", 1), ("q1", "d1", 0)]))
    with pytest.raises(BadSource, match="judged both 1 and 0"):
        export(folder, out)


def test_nothing_judged_is_refused(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([("q1", "gone", 1)]))
    with pytest.raises(BadSource, match="belong together"):
        export(folder, out)
    assert not list(out.parent.glob("*.parquet"))


@pytest.mark.parametrize(("what", "count"), [("queries", 3), ("qrels", 4)])
def test_other_counts_than_declared_are_refused(folder, out, what, count):
    with pytest.raises(BadSource, match=f"{count} {what} declared, {count - 1} found"):
        export(folder, out, **{what: count})


def test_another_number_of_documents_is_refused(folder, out):
    with pytest.raises(BadSource, match="5 documents declared, 4 found"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder), "documents": 5})
    assert sorted(path.name for path in out.parent.iterdir()) == ["set"]


def test_an_empty_corpus_is_refused(folder, out):
    (folder / "corpus.jsonl").write_text("\n")
    with pytest.raises(BadSource, match="no documents at all"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert not out.exists()


def test_repeated_ids_are_refused_across_batches(folder, out, monkeypatch):
    monkeypatch.setattr(corpora, "BATCH", 2)
    (folder / "corpus.jsonl").write_text(jsonl([*CORPUS, {"_id": "007", "text": "again"}]))
    with pytest.raises(BadSource, match=r"1 of 5 passages repeat a doc_id \(first: '007'\)"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    (folder / "queries.jsonl").write_text(jsonl([*TOPICS, TOPICS[0]]))
    with pytest.raises(BadSource, match="'q2' comes twice"):
        export(folder, out)
    assert not out.exists()


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


def test_a_file_that_breaks_off_is_refused(folder, out):
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


def test_half_characters_do_not_stop_an_export(folder, out):
    (folder / "corpus.jsonl").write_text(
        r'{"_id": "d1", "text": "half \ud83d a smile \ud83d\ude00"}'
    )
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    (text,) = texts(out, PASSAGES).values()
    assert text.startswith("half \ufffd") and text.endswith("a smile \U0001f600")


@pytest.mark.parametrize(
    "corpus", [{}, {"pydocs": ["click"], "folder": "x"}, {"folder": "x", "documents": "many"}]
)
def test_a_corpus_has_one_kind(corpus, out):
    with pytest.raises(BadSettings):
        redistil("export-passages", out, "--corpus", corpus)


def test_judgements_of_queries_without_any_are_not_invented():
    topics = Topics({"q1": "a", "q2": "b"}, [("q1", "d1", 0)])
    assert corpora.judgements(topics, "here") == (["q1"], [("q1", "d1", 0)])


# --- ir_datasets: in processes of their own, for it fixes its home when it is imported ---------


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
        archive.writestr("scifact/queries.jsonl", jsonl([q | {"metadata": {}} for q in TOPICS]))
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


MAIN = "from redistil.cli import main; main()"
SCIFACT = {"irds": "beir/scifact"}
SCIFACT_TEST = {"irds": "beir/scifact/test", "queries": 2, "qrels": 2}


def test_irds_passages(home, out):
    done = python(home, MAIN, "export-passages", out, "--corpus", SCIFACT | {"documents": 2})
    assert done.returncode == 0, done.stderr
    assert texts(out, PASSAGES) == {"4983": "White matter Alterations.", "05": "Induction."}
    (made,) = lineage.of(out).ancestors.values()
    assert made.who == "irds beir/scifact"
    assert made.settings == {"version": metadata.version("ir_datasets")}


def test_irds_queries(home, tmp_path):
    files = tmp_path / "q.parquet", tmp_path / "r.parquet"
    done = python(
        home, MAIN, "export-queries", *files, "--corpus", SCIFACT, "--dataset", SCIFACT_TEST
    )
    assert done.returncode == 0, done.stderr
    assert texts(files[0], QUERIES) == {"q1": "question 1", "q2": "question 2"}
    assert [tuple(row.values()) for row in QRELS.read(files[1]).to_pylist()] == [
        ("q1", "05", 1),
        ("q2", "4983", 1),
    ]
    assert set(lineage.of(files[0]).inputs) == {"irds beir/scifact", "irds beir/scifact/test"}


def test_irds_refusals(home, out):
    """One process for all: importing the library takes most of the time."""
    code = """
        import json, sys
        from pathlib import Path
        from redistil import corpora
        from redistil.corpora import docpairs
        from redistil.errors import UserError
        from redistil.lineage import Made

        out, made = Path(sys.argv[1]), Made("test", "it")
        scifact = {"irds": "beir/scifact"}

        def export(**corpus):
            corpora.export_passages(corpus, out, made)

        def topics(corpus=scifact, **dataset):
            corpora.export_queries(corpus, dataset, out, out.with_suffix(".r"), made)

        for name, job in {
            "short": lambda: export(irds="beir/scifact", documents=5183),
            "few": lambda: topics(irds="beir/scifact/test", queries=300),
            "unknown": lambda: export(irds="beir/scifakt"),
            "no qrels": lambda: topics(irds="beir/scifact"),
            "other": lambda: topics({"irds": "beir/nq"}, irds="beir/scifact/test"),
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
    assert "5183 documents declared, 2 found" in said["short"]
    assert "300 queries declared, 2 found" in said["few"]
    assert "did you mean beir/scifact" in said["unknown"]
    assert "has no qrels" in said["no qrels"]
    assert "judges other documents" in said["other"]
    assert "check the network" in said["network"] and str(home) in said["network"]
    assert "are licensed" in said["licence"] and "disks45/corpus" in said["licence"]
    assert "has no docpairs" in said["no pairs"]
    assert all("\n" not in line for line in said.values())
    assert not out.exists()


def test_the_catalogue_declares_what_the_library_counts(home):
    """Every id exists, and every count is the one that ir_datasets publishes with it."""
    code = """
        import json, sys
        import ir_datasets, yaml

        params = yaml.safe_load(open(sys.argv[1]))
        wanted = {"corpora": {"documents": "docs"}, "datasets": dict.fromkeys(["queries", "qrels"])}
        for catalogue, keys in wanted.items():
            for entry in params[catalogue].values():
                if "irds" in entry:
                    found = ir_datasets.load(entry["irds"])
                    for key, kind in keys.items():
                        kind = kind or key
                        said = (found.metadata().get(kind) or {}).get("count")
                        print(json.dumps([entry["irds"], kind, found.has(kind), entry[key], said]))
    """
    done = python(home, code, Path(__file__).parents[2] / "params.yaml")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    counted = [row for row in rows if row[-1] is not None]
    assert len(counted) > 100 and len(rows) - len(counted) < 5
    for name, kind, has, declared, published in rows:
        assert has and published in (declared, None), (name, kind)


def test_no_library_is_imported_before_it_is_needed(home):
    done = python(
        home,
        """
        import sys
        import redistil.corpora, redistil.downloads, redistil.cli.corpora, redistil.cli.downloads
        print(*{"torch", "ir_datasets", "transformers", "ranx"} & set(sys.modules))
        """,
    )
    assert done.stdout.split() == [], done.stderr
