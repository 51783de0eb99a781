"""The nine backbones from the hub's files to a score: the logits of plain transformers.

Each goes the whole way: `redistil fetch`, `redistil tokenize`, the token files, our batches.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from redistil.cli import cli
from redistil.learning import students
from redistil.learning.scoring import score_pairs
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.learning.students.pairs import pair_template
from redistil.stages import tokens
from redistil.storage.ragged import Ragged
from redistil.storage.tables import PASSAGES, QUERIES
from tests.made import tiny
from tests.made.hub import BACKBONES, WORDS, unigrams, write

LONG = " ".join(WORDS * 4)  # beyond every cap
TEXTS = [
    ("cat dog", "the red bird sings over the river"),
    ("stone", "bird"),
    ("", "bird"),
    ("query", ""),
    ("  Cat,   DOG! zebra?", "Ünïcode 日本 \n\t under   the lazy \u200b stone. "),
    ("the [SEP] of </s> [MASK] <mask>", "<s>[CLS] river [PAD]<pad>"),
    ("red river", LONG),
    (LONG, "blue bird"),
    (LONG, LONG),
]
# (query, passage, pair) caps as a study would have them, and as the later code has them
CAPS = {"paper": (8, 32, 36), "rerun": (20, 40, 40), "passage": (8, 10, 60)}

pytestmark = pytest.mark.usefixtures("quiet")
every_backbone = pytest.mark.parametrize("name", BACKBONES)


class House(NamedTuple):
    """A backbone before it is fetched and after, and the texts' token files."""

    hub: Path
    folder: Path
    queries: Path
    passages: Path

    @property
    def native(self) -> Any:
        """The tokenizer as whoever has never heard of redistil loads it from the hub."""
        source = BACKBONES[self.folder.name].source
        more = {"do_lower_case": True} if source.get("lower_case") else {}
        return AutoTokenizer.from_pretrained(self.hub, **more)


def run(*words: object) -> None:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("texts")
    for table, side in ((QUERIES, 0), (PASSAGES, 1)):
        columns = [f"{i:02}" for i in range(len(TEXTS))], [pair[side] for pair in TEXTS]
        rows = table.rows(dict(zip(table.schema.names, columns, strict=True)))
        table.write(rows, folder / f"{table.name}.parquet", tiny.MADE)
    return folder / "queries.parquet", folder / "passages.parquet"


@pytest.fixture(scope="module")
def houses(tmp_path_factory, texts):
    """Return the house of a backbone, built when it is first asked for."""
    root, built = tmp_path_factory.mktemp("houses"), {}

    def house(name: str) -> House:
        if name not in built:
            place = root / name
            found = House(
                write(BACKBONES[name], place / "hub"),
                place / name,
                place / "q.arrow",
                place / "p.arrow",
            )
            source = {"folder": str(found.hub)} | BACKBONES[name].source
            run("fetch", found.folder, "--source", json.dumps(source), "--name", name)
            for side, out in zip(texts, (found.queries, found.passages), strict=True):
                run("tokenize", found.folder / "made.json", side, out, "--longest", 64)
            built[name] = found
        return built[name]

    return house


def student_of(house: House, caps: tuple[int, int, int], pair_form: str = "native") -> Any:
    lengths = dict(zip(("query_length", "passage_length", "pair_length"), caps, strict=True))
    recipe = tiny.recipe(pair_form=pair_form, **lengths)
    return students.new(recipe, house.folder, seed=3).eval()


def scores(student: Any, house: House) -> torch.Tensor:
    rows = np.arange(len(TEXTS))
    files = Ragged(house.queries), Ragged(house.passages)
    return torch.from_numpy(score_pairs(student, *files, (rows, rows), "float32"))


def plain(house: House) -> Any:
    """Return the network as plain transformers has it, its head drawn from the same seed."""
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(house.hub, num_labels=1).eval()


def native_pair(tokenizer: Any, query: str, passage: str, caps: tuple[int, int, int]) -> Any:
    """Return a pair as the tokenizer itself encodes it, its sides cut before it joins them."""
    backend = tokenizer.backend_tokenizer
    most_of_query, most_of_passage, pair = caps
    q, p = (backend.encode(text, add_special_tokens=False) for text in (query, passage))
    q.truncate(most_of_query)
    p.truncate(min(most_of_passage, pair - backend.num_special_tokens_to_add(True) - len(q)))
    joined = backend.post_process(q, p)
    inputs = {"input_ids": joined.ids, "attention_mask": joined.attention_mask}
    if "token_type_ids" in tokenizer.model_input_names:
        inputs["token_type_ids"] = joined.type_ids
    return inputs


def call(tokenizer: Any, query: str, passage: str, **how: Any) -> Any:
    """Return what a tokenizer makes of a pair. In a list: an empty passage alone would be none."""
    encoded = tokenizer([query], [passage], **how)
    return {name: rows[0] for name, rows in encoded.items()}


@torch.no_grad()
def logit(network: Any, inputs: Any) -> float:
    tensors = {name: torch.tensor([list(row)]) for name, row in inputs.items()}
    return float(network(**tensors).logits)


def close(got: torch.Tensor, wanted: list[float]) -> None:
    expected = torch.tensor(wanted)
    assert expected.std() > 0.05, "else any pair would do"
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


# --- the same logits --------------------------------------------------------------------------


@every_backbone
@pytest.mark.parametrize("caps", CAPS.values(), ids=CAPS)
def test_scores_equal_plain_transformers(houses, name, caps):
    house = houses(name)
    network, tokenizer = plain(house), house.native
    wanted = [logit(network, native_pair(tokenizer, q, p, caps)) for q, p in TEXTS]
    close(scores(student_of(house, caps), house), wanted)


@every_backbone
def test_cut_pairs_equal_native_truncation(houses, name):
    """No helper of ours between: the tokenizer is called with a pair, and told to cut."""
    house, caps = houses(name), (40, 64, 55)  # no query is cut
    network, tokenizer = plain(house), house.native
    got = scores(student_of(house, caps), house)
    short = [i for i, (query, _) in enumerate(TEXTS) if query != LONG]
    wanted = [
        logit(network, call(tokenizer, *TEXTS[i], truncation="only_second", max_length=55))
        for i in short
    ]
    close(got[short], wanted)


@every_backbone
def test_every_weight_of_the_encoder_is_read(houses, name):
    """Whatever head the hub's file has beside it, and however old its names are."""
    house = houses(name)
    student, other = student_of(house, CAPS["paper"]).network, plain(house)
    for key, value in other.state_dict().items():
        assert torch.equal(student.state_dict()[key], value), key


@every_backbone
def test_no_text_is_tokenised_to_score_it(houses, name, monkeypatch):
    house = houses(name)
    student = student_of(house, CAPS["paper"])
    wanted = scores(student, house)

    call = PreTrainedTokenizerBase.__call__

    def letters_only(tokenizer: Any, text: Any, *more: Any, **how: Any) -> Any:
        """Two letters, or none, tell how it joins a pair."""
        texts = [text] if isinstance(text, str) else text
        assert max(map(len, texts)) <= 1, "a text was tokenised"
        return call(tokenizer, text, *more, **how)

    monkeypatch.setattr(PreTrainedTokenizerBase, "__call__", letters_only)
    with pytest.raises(AssertionError):
        student.tokenizer("text")
    assert torch.equal(scores(student, house), wanted)


# --- the same ids -----------------------------------------------------------------------------

PARTS = [
    *WORDS[:6],
    " ",
    "  ",
    "\n",
    "\t",
    "\u00a0",
    "\u200b",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "日本",
    "ﬁ",
]
PARTS += ["☃", "\U0001f600", "\x00", "A", ".", "##a", "▁", "Ġ", "[SEP]", "</s>", "<mask>", "[UNK]"]
texts_of_any_kind = st.one_of(
    st.text(max_size=20), st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
)


@every_backbone
def test_a_text_is_the_same_alone_and_in_a_pair(houses, name):
    house = houses(name)
    cached = tokens.load(house.folder / "tokenizer.json")
    template, tokenizer = pair_template(load_tokenizer(house.folder)), house.native

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(texts_of_any_kind, texts_of_any_kind)
    def same(query: str, passage: str) -> None:
        q, p = (cached.encode(text, add_special_tokens=False).ids for text in (query, passage))
        pair = call(tokenizer, query, passage)
        joined, _, types = template.join([q], [p])
        assert joined.tolist() == [pair["input_ids"]]
        if template.types is not None:
            assert types.tolist() == [pair["token_type_ids"]]

    same()


def test_forced_lower_case_reaches_all_files(houses):
    house = houses("minilm-l12")
    forgetful = AutoTokenizer.from_pretrained(house.hub)
    assert forgetful("CAT")["input_ids"] != forgetful("cat")["input_ids"]
    files = Ragged(house.queries)
    upper, lower = (files[i].tolist() for i in (4, 0))
    assert upper[0] == lower[0]  # "Cat" and "cat"


def test_sentence_pieces_are_those_of_sentencepiece(houses):
    """DeBERTa-v3 has nothing but `spm.model` on the hub."""
    import sentencepiece

    house = houses("deberta-v3-base")
    assert not (house.hub / "tokenizer.json").exists()
    theirs = sentencepiece.SentencePieceProcessor(str(house.hub / "spm.model"))
    files = Ragged(house.passages)
    for row, (_, passage) in enumerate(TEXTS):
        if passage.isascii() and "[" not in passage:  # they know no special tokens in a text
            assert files[row].tolist() == theirs.encode(passage)[:64], passage


def test_a_replaced_pipeline_is_written_back(tmp_path):
    """Of DeBERTa's `tokenizer.json` from older versions it takes the pieces and no more."""
    hub = write(BACKBONES["deberta-v3-base"], tmp_path / "hub")
    (hub / "spm.model").unlink()
    old = unigrams()
    old.save(str(hub / "tokenizer.json"))
    run("fetch", tmp_path / "out", "--source", json.dumps({"folder": str(hub)}))
    cached, native = (
        tokens.load(tmp_path / "out/tokenizer.json"),
        AutoTokenizer.from_pretrained(hub),
    )
    text = "\ufb01rst  \uff43at "
    ids = cached.encode(text, add_special_tokens=False).ids
    assert ids == native(text, add_special_tokens=False)["input_ids"]
    assert ids != old.encode(text, add_special_tokens=False).ids


# --- joined by hand ---------------------------------------------------------------------------


@every_backbone
def test_a_study_may_join_pairs(houses, name):
    house, caps = houses(name), CAPS["rerun"]
    student, tokenizer = student_of(house, caps, "joined"), house.native
    network, cls, sep = plain(house), tokenizer.cls_token_id, tokenizer.sep_token_id
    wanted, forms = [], []
    for query, passage in TEXTS:
        q, p = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (query, passage))
        q = q[: caps[0]]
        p = p[: caps[2] - 3 - len(q)]
        ids = [cls, *q, sep, *p, sep]
        inputs = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if "token_type_ids" in tokenizer.model_input_names:
            inputs["token_type_ids"] = [0] * (len(q) + 2) + [1] * (len(p) + 1)
        wanted.append(logit(network, inputs))
        forms.append(ids == native_pair(tokenizer, query, passage, caps)["input_ids"])
    close(scores(student, house), wanted)
    assert all(forms) == (name != "roberta-base"), "only RoBERTa's own form differs"


# --- what is saved ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pair_form"), [*((name, "native") for name in BACKBONES), ("roberta-base", "joined")]
)
def test_other_libraries_score_the_same(houses, name, pair_form, tmp_path):
    """Passages beyond the caps too: the tokenizer that is saved knows where to cut a pair."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    house = houses(name)
    student = student_of(house, (40, 64, 55), pair_form)
    student.save(tmp_path)
    short = [i for i, (query, _) in enumerate(TEXTS) if query != LONG]
    pairs = [TEXTS[i] for i in short]
    wanted = scores(student, house)[short].tolist()

    network = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    got = [logit(network, call(tokenizer, *pair, truncation=True)) for pair in pairs]
    close(torch.tensor(got), wanted)

    theirs = sentence_transformers.CrossEncoder(str(tmp_path), device="cpu", local_files_only=True)
    close(theirs.predict(pairs, convert_to_tensor=True, show_progress_bar=False), wanted)

    again = scores(students.ARCHITECTURES["cat"].load(tmp_path).eval(), house)[short]
    close(again, wanted)
