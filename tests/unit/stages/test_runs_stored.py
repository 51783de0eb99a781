"""Re-ranking from stored states of passages: the same scores, and other states refused."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from redistil.errors import BadSource, BadTable, Stale
from redistil.learning import scoring, stored, students
from redistil.learning.scoring import encoded
from redistil.learning.students.states import States
from redistil.stages.retrieved import embed
from redistil.storage import lineage, states
from redistil.storage.ragged import Ragged
from redistil.storage.states import Corpus, Stored
from redistil.storage.tables import RUN, ranked
from tests.made import tiny
from tests.made.stores import embedded, run, write_model, write_tokens
from tests.made.students import SETTINGS, write_words

PASSAGES, QUERIES = 20, 3
TEXTS = {f"d{row}": " ".join(tiny.WORDS[: row * 7 % 11]) for row in range(PASSAGES)}  # one is empty
GROUNDS = {name: "words" if name == "tk" else "bert" for name in SETTINGS}
every_one = pytest.mark.parametrize("model", SETTINGS)
pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A student of each architecture on an encoder or on words, their tokens, and candidates."""
    folder = tmp_path_factory.mktemp("house")
    tiny.checkpoint(folder / "bert", layers=2)
    shutil.move(write_words(folder / "made", texts=[" ".join(tiny.WORDS)]), folder / "words")
    for ground in ("bert", "words"):
        write_tokens(folder / f"{ground}-q.arrow", folder / ground, tiny.texts(QUERIES, "q", 4))
        write_tokens(folder / f"{ground}-d.arrow", folder / ground, TEXTS)
    for name, ground in GROUNDS.items():
        write_model(folder / name, folder / ground, name)
    write_model(folder / "narrow", folder / "bert", "colbert", dimensions=4)
    tiny.model(folder / "cat", folder / "bert")
    rows = []
    for query, depth in enumerate((PASSAGES, 7, 1)):
        for place in range(depth):
            rows.append((f"q{query}", f"d{(7 * place + query) % PASSAGES}", -place))
    RUN.write(ranked(*map(list, zip(*rows, strict=True))), folder / "first.parquet", tiny.MADE)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let a window be two passages, and a block four."""
    monkeypatch.setattr(embed, "WINDOW", 2)
    monkeypatch.setattr(embed, "BLOCK", 4)


def reranked(house, out, model, files=(), side="d", precision="float32"):
    tokens = [house / f"{GROUNDS.get(model, 'bert')}-{name}.arrow" for name in ("q", side)]
    words = ["rerank", house / "first.parquet", house / model, *tokens, out]
    for file in files:
        words += ["--states", file]
    run(*words, "--depth", 20, "--precision", precision, "--device", "cpu", "--name", "x/test")
    return RUN.read(out)


def kept(house, folder, model, shards=1, numbers="float32"):
    tokens = f"{GROUNDS.get(model, 'bert')}-d"
    return embedded(house, folder, shards, model=model, tokens=tokens, numbers=numbers)


def by_pair(found):
    """Return the scores of a run of all candidates, in the order of their ids."""
    rows = found.sort_by([(name, "ascending") for name in RUN.key])
    assert len(rows) == PASSAGES + 7 + 1
    return rows["score"].to_numpy()


def queries_alone(student, side, texts):
    assert side == "query"
    return encoded(student, side, texts)


# --- the scores -----------------------------------------------------------------------------------


@every_one
@pytest.mark.parametrize("shards", [1, 3])
def test_scores_are_those_of_passages_encoded_anew(house, tmp_path, monkeypatch, model, shards):
    anew = reranked(house, tmp_path / "anew.parquet", model)
    files = kept(house, tmp_path, model, shards)
    monkeypatch.setattr(stored, "encoded", queries_alone)
    monkeypatch.setattr(scoring, "score_pairs", None)
    for held in (1 << 26, 100, 1):  # all at once, a few, one by one
        monkeypatch.setattr(stored, "HELD", held)
        got = reranked(house, tmp_path / f"{held}.parquet", model, files)
        wanted = by_pair(anew)
        assert wanted.std() > 0.005
        np.testing.assert_allclose(by_pair(got), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@every_one
def test_half_precision_costs_its_rounding_alone(house, tmp_path, model):
    whole = by_pair(reranked(house, tmp_path / "a.parquet", model, kept(house, tmp_path, model)))
    files = kept(house, tmp_path / "half", model, 2, "float16")
    found = reranked(house, tmp_path / "b.parquet", model, files)
    student = students.load(house / model).eval()
    queries, passages = (Ragged(house / f"{GROUNDS[model]}-{side}.arrow") for side in "qd")
    with torch.no_grad():
        asked = encoded(student, "query", [queries[row] for row in range(QUERIES)])
        shown = encoded(student, "passage", [passages[row] for row in range(PASSAGES)])
        # read from the store: a value near the middle of two halves may have been rounded to either
        corpus = Corpus([Stored(file) for file in files])
        halves = np.concatenate([corpus[row] for row in range(PASSAGES)]).astype(np.float32)
        np.testing.assert_allclose(halves, shown.values.numpy(), rtol=1e-3, atol=1e-6)
        shown = States(torch.from_numpy(halves), shown.offsets)
        places = [queries.rows(found["query_id"]), passages.rows(found["doc_id"])]
        wanted = student.interact(asked, shown, *places).numpy()
    np.testing.assert_allclose(found["score"], wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    apart = np.abs(by_pair(found) - whole).max() / np.abs(whole).max()
    assert 1e-6 < apart < 5e-3


def test_bfloat16_reads_what_it_wrote(house, tmp_path, monkeypatch):
    anew = by_pair(reranked(house, tmp_path / "a.parquet", "prettr", precision="bfloat16"))
    store = tmp_path / "s.arrow"
    how = ["--numbers", "float32", "--precision", "bfloat16", "--shard", 0, "--shards", 1]
    run("embed", house / "prettr", house / "bert-d.arrow", store, *how, "--device", "cpu")
    got = by_pair(reranked(house, tmp_path / "b.parquet", "prettr", [store], precision="bfloat16"))
    assert np.abs(got - anew).max() < 0.02 * np.abs(anew).max()


def test_the_record_names_the_states_and_no_other_setting(house, tmp_path):
    files = kept(house, tmp_path, "colbert", 2)
    reranked(house, tmp_path / "run.parquet", "colbert", files)
    made = lineage.of(tmp_path / "run.parquet")
    assert made.settings == {"depth": 20, "precision": "float32"}
    assert {"embed colbert/c/0", "embed colbert/c/1"} <= made.inputs.keys()


def test_a_narrow_projection_in_half_precision_takes_an_eighth(house, tmp_path):
    """128 numbers of a token in float16, where the encoder has 512 in float32."""
    tiny.checkpoint(tmp_path / "bert")
    write_model(tmp_path / "wide", tmp_path / "bert", "colbert", dimensions=512)
    write_model(tmp_path / "slim", tmp_path / "bert", "colbert", dimensions=128)
    write_tokens(tmp_path / "bert-d.arrow", tmp_path / "bert", TEXTS)
    write_tokens(tmp_path / "bert-q.arrow", tmp_path / "bert", tiny.texts(QUERIES, "q", 4))
    shutil.copy(house / "first.parquet", tmp_path)
    (wide,), (slim,) = (
        embedded(tmp_path, tmp_path, model=model, numbers=numbers)
        for model, numbers in (("wide", "float32"), ("slim", "float16"))
    )
    tokens = Stored(slim).bytes_per_passage / (2 * 128)
    assert Stored(wide).bytes_per_passage == tokens * 4 * 512
    anew = by_pair(reranked(tmp_path, tmp_path / "a.parquet", "slim"))
    got = by_pair(reranked(tmp_path, tmp_path / "b.parquet", "slim", [slim]))
    np.testing.assert_allclose(got, anew, rtol=0, atol=2e-3 * np.abs(anew).max())


# --- what is refused ------------------------------------------------------------------------------


def refused(house, tmp_path, error, said, *given, **more):
    before = set(tmp_path.iterdir())
    with pytest.raises(error, match=said) as caught:
        reranked(house, tmp_path / "run.parquet", *given, **more)
    assert set(tmp_path.iterdir()) == before and "\n" not in str(caught.value)


def test_a_student_that_keeps_nothing_is_refused(house, tmp_path):
    files = kept(house, tmp_path, "dot")
    said = "query and passage together, so that no states .* leave --states out"
    refused(house, tmp_path, BadSource, said, "cat", files)


def test_states_of_another_model_are_refused(house, tmp_path):
    files = kept(house, tmp_path, "narrow")
    said = "narrow-0-of-1.arrow holds states of another model: wanted those of train colbert"
    refused(house, tmp_path, Stale, said, "colbert", files)


def test_tokens_of_another_tokenizer_are_refused(house, tmp_path, monkeypatch):
    files = kept(house, tmp_path, "tk")
    monkeypatch.setitem(GROUNDS, "tk", "bert")
    said = "bert-q.arrow is not under the tokenizer of train tk"
    refused(house, tmp_path, Stale, said, "tk", files)


@pytest.mark.parametrize("order", [[1, 0], [0], [0, 0], [1]])
def test_other_shards_than_all_in_order_are_refused(house, tmp_path, order):
    files = kept(house, tmp_path, "dot", 2)
    said = "name all shards of one corpus, in order"
    refused(house, tmp_path, Stale, said, "dot", [files[place] for place in order])


def test_states_of_other_passages_are_refused(house, tmp_path):
    files = kept(house, tmp_path, "dot")
    fewer = dict(list(TEXTS.items())[:-1])
    write_tokens(house / "bert-fewer.arrow", house / "bert", fewer)
    said = r"other passages: wanted those of \S+bert-fewer.arrow .* embed these tokens"
    refused(house, tmp_path, Stale, said, "dot", files, side="fewer")


@pytest.mark.parametrize("rows", [range(19), [1, 0, *range(2, 20)]], ids=["fewer", "exchanged"])
def test_other_passages_under_the_same_record_are_refused(house, tmp_path, rows):
    (file,) = kept(house, tmp_path, "dot")
    whole, file = Stored(file), tmp_path / "other.arrow"
    ids = whole.ids().combine_chunks().take(pa.array(rows))
    numbers = np.concatenate(list(whole.rows()))[list(rows)]
    with states.writer(file, whole.made, "float32", whole.width) as append:
        append(ids, numbers, np.ones(len(numbers), np.int64))
    said = f"wanted the 20 of .*bert-d.arrow in its order, got {len(numbers)}"
    refused(house, tmp_path, Stale, said, "dot", [file])


def test_a_file_without_states_is_refused(house, tmp_path):
    refused(house, tmp_path, BadTable, "holds no states", "dot", [house / "bert-d.arrow"])
