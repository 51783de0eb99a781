"""Docstrings as queries and passages: what is read, what is left out, and who is in which part."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from redistil import seeds
from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora import pydocs
from redistil.storage import lineage
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, texts
from tests.made.collection import redistil

ROOT = Path(__file__).parents[3]

REST = "It takes every one of the ten words that a passage needs, and these are more."


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


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
        "distutils/old.py": f'"""Build what no later Python builds.\n\n{REST} Elder.\n"""',
        "broken.py": f'"""Break the language in two halves.\n\n{REST}\n"""\nprint "old"',
    }.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "politeness"


def test_docstrings_give_queries_and_passages(package):
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


def test_packages_are_never_imported(package, out):
    redistil("export-passages", out, "--corpus", {"pydocs": [package]})
    assert package not in sys.modules


def test_unparsable_sources_are_counted(package, caplog):
    pydocs.pairs([package])
    assert "1 of 3 files left out" in caplog.text


def test_blanks_replace_placeholders(tmp_path, monkeypatch):
    text = f"Compute the thing for all.\n\n%(before_notes)s\n\n{REST}"
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "__init__.py").write_text(f'"""{text}"""')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [pair.passage for pair in pydocs.pairs(["filled"])] == [REST]


def test_pydocs_on_disk(package, out, tmp_path):
    corpus = {"pydocs": [package]}
    queries, qrels = tmp_path / "queries.parquet", tmp_path / "qrels.parquet"
    redistil("export-passages", out, "--corpus", corpus)
    files = queries, qrels, "--passages", out
    redistil("export-queries", *files, "--corpus", corpus, "--dataset", {"part": "all"})
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
    corpus = {"pydocs": ["click", "numpy"]}
    made = {item.who: item.settings for item in pydocs.sources(corpus)}
    assert made["package click"] == {"version": metadata.version("click")}
    assert made["package numpy"] == {"version": metadata.version("numpy")}
    passages, queries, qrels = (tmp_path / f"{name}.parquet" for name in "pqr")
    corpus = {"pydocs": ["click"]}
    redistil("export-passages", passages, "--corpus", corpus)
    files = queries, qrels, "--passages", passages
    redistil("export-queries", *files, "--corpus", corpus, "--dataset", {"part": "all"})
    assert "package click" in lineage.of(queries).inputs
    assert lineage.of(queries) == lineage.of(qrels)


def test_parts_share_nothing_and_are_everything():
    shares = {"dev": 0.2, "test": 0.3}
    corpus = {"pydocs": ["click"]}
    ids = {
        part: set(pydocs.queries(corpus, {"part": part, **shares}).queries) for part in pydocs.PARTS
    }
    apart = [ids["train"], ids["dev"], ids["test"]]
    assert all(apart)
    assert set.union(*apart) == ids["all"]
    assert sum(map(len, apart)) == len(ids["all"])


def test_query_text_alone_decides_the_part():
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
    few = pydocs.queries(corpus, everything | {"at_most": 5}).queries
    more = pydocs.queries(corpus, everything | {"at_most": 9}).queries
    assert (len(few), len(more)) == (5, 9)
    assert set(few) < set(more)
    last = max(seeds.fraction(f"at most: {text}") for text in more.values())
    others = set(pydocs.queries(corpus, everything).queries.values()) - set(more.values())
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
        pydocs.queries({"pydocs": ["click"]}, dataset)


@pytest.mark.parametrize("packages", [[], "python", ["os.path"], ["click", "click"], [3]])
def test_only_top_level_packages_are_read(packages):
    with pytest.raises(BadSettings):
        pydocs.sources({"pydocs": packages})


def test_missing_packages_are_refused():
    with pytest.raises(BadSource, match="no_such_package, but it is not an installed package"):
        pydocs.sources({"pydocs": ["no_such_package"]})


def test_every_module_is_found_but_for_tests():
    modules = {module for module, _ in pydocs._files("numpy")}
    assert {"numpy", "numpy.linalg", "numpy.lib.npyio"} <= modules
    assert not any(part in pydocs.TESTS for name in modules for part in name.split("."))


def test_the_lock_pins_every_package_that_a_study_reads():
    """Another Python or machine then reads the same texts; the standard library would differ."""
    catalogue = yaml.safe_load((ROOT / "params.yaml").read_text())["corpora"]
    read = {name for entry in catalogue.values() for name in entry.get("pydocs", ())}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert read and read <= pinned
