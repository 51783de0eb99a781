"""Checkpoints: built to the byte, of their family's own form, and fetched without pickles."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from redistil.cli import cli
from redistil.errors import BadSource
from redistil.learning.students.pairs import pair_template
from redistil.stages import backbones
from redistil.stages.backbones.lexicon import Lexicon
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import SPECIAL, vocabulary
from redistil.storage import lineage
from tests.made import tiny
from tests.made.warm_up import FAMILIES, SETTINGS, WARMUP, sources


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    queries = tiny.texts(8, "q", 4)
    judged = [(query_id, f"d{i}", 1) for i, query_id in enumerate(queries)]
    return sources(tmp_path_factory.mktemp("corpus"), queries, judged)


def build(corpus, out, family, **warmup):
    how = SETTINGS | {"warmup": WARMUP | warmup}
    backbones.build(corpus, out, tiny.MADE, family=family, **how)
    return out


def files_of(folder):
    """Return the content of every file but the cost, which no two builds share."""
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    content.pop("cost.json", None)
    return content


# --- built ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_build_repeats_to_the_byte(corpus, tmp_path, family):
    once, again = (build(corpus, tmp_path / name, family) for name in "ab")
    assert files_of(once) == files_of(again)
    whole = {"model.safetensors", "config.json", "tokenizer.json", "made.json"}
    assert whole <= set(files_of(once))
    assert "checkpoint.safetensors" not in files_of(once)


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_and_steps_change_the_weights(corpus, tmp_path, family):
    variants = [{}, {"seed": 2}, {"steps": 2}, {"steps": 0}]
    built = [build(corpus, tmp_path / str(i), family, **v) for i, v in enumerate(variants)]
    assert len({files_of(folder)["model.safetensors"] for folder in built}) == len(built)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_built_folder_loads(corpus, tmp_path, family):
    folder = build(corpus, tmp_path / "b", family)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    auto = AutoModelForMaskedLM if family == "splade" else AutoModel
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    model.eval()
    inputs = tokenizer(["sparse rank", "dense"], return_tensors="pt", padding=True)
    with torch.inference_mode():
        together = model(**inputs)[0][1, 1]
        alone = model(**tokenizer(["dense"], return_tensors="pt"))[0][0, 1]
    assert together == pytest.approx(alone, abs=1e-4), "padding changes nothing"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_keeps_its_pair_form(family):
    tokenizer = vocabulary(family, tiny.WORDS * 3, 300)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    template = pair_template(tokenizer)
    assert (template.before, template.between, template.after) == ((cls,), (sep,), (sep,))
    if family == "modernbert":
        assert template.types is None
    else:
        assert template.types == ((0,), 0, (0,), 1, (1,))
    query, passage = "sparse rank query", "dense tensor"
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (query, passage)]
    joined, _, _ = template.join(*([np.array(side)] for side in ids))
    assert joined.tolist() == [tokenizer(query, passage)["input_ids"]]
    assert template.special == 3


def test_only_word_pieces_are_lower_cased():
    texts = ["Rank the Tensor", "rank the tensor"] * 5
    pieces, pairs = vocabulary("bert", texts, 300), vocabulary("modernbert", texts, 400)
    assert pieces("RANK")["input_ids"] == pieces("rank")["input_ids"]
    assert pairs("Rank")["input_ids"] != pairs("rank")["input_ids"]
    assert pairs.decode(pairs("Été \N{SNOWMAN}")["input_ids"], skip_special_tokens=True) == "Été ☃"
    for tokenizer, most in ((pieces, 300), (pairs, 400)):
        assert len(tokenizer) <= most
        assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3, 4]


def test_a_splade_starts_with_own_words():
    torch.manual_seed(1)
    tokenizer = vocabulary("splade", tiny.WORDS * 3, 300)
    model = network("splade", tokenizer, layers=1, width=128, heads=2).eval()
    ids = tokenizer("tensor rank", return_tensors="pt")
    with torch.inference_mode():
        weights = torch.relu(model(**ids).logits[0]).amax(0)
    own = set(tokenizer("tensor rank", add_special_tokens=False)["input_ids"])
    assert own <= set(weights.topk(len(own) + 2).indices.tolist())


def test_neighbours_are_the_best_by_bm25():
    passages = [np.array(row) for row in ([1, 2, 2], [2, 3], [4, 4, 4, 4], [1, 5, 5], [6])]
    query, k1, b = np.array([1, 2]), 1.2, 0.75
    lexicon = Lexicon.of(passages, 8, k1, b)
    idf = {1: math.log(1 + 3.5 / 2.5), 2: math.log(1 + 3.5 / 2.5)}  # each in two of five
    norms = [k1 * (1 - b + b * len(row) / 2.6) for row in passages]
    scores = [
        sum(idf[t] * (row == t).sum() * (k1 + 1) / ((row == t).sum() + norm) for t in (1, 2))
        for row, norm in zip(passages, norms, strict=True)
    ]
    counts = torch.tensor([[(row == t).sum() for t in (1, 2)] for row in passages])
    lengths = torch.tensor([[len(row)] for row in passages])
    worth = lexicon.worth(torch.tensor([[1, 2]] * 5), counts.float(), lengths)
    assert worth.sum(1).tolist() == pytest.approx(scores, rel=1e-5)
    found = lexicon.neighbours([query, np.array([7])], passages, 2)
    assert found[0].tolist() == sorted(range(5), key=lambda row: -scores[row])[:2]
    assert found[1].tolist() == []


def test_the_command_builds(corpus, tmp_path):
    words = ["build", *map(str, corpus), str(tmp_path / "b"), "--family", "bert", "--vocabulary"]
    words += ["300", *"--layers 1 --width 16 --heads 2 --relevant-from 1 --name tiny".split()]
    result = CliRunner().invoke(cli, [*words, "--warmup", json.dumps(WARMUP)])
    assert result.exit_code == 0, result.output
    direct = files_of(build(corpus, tmp_path / "direct", "bert"))
    assert files_of(tmp_path / "b")["model.safetensors"] == direct["model.safetensors"]
    assert lineage.of(tmp_path / "b").who == "build tiny"


# --- fetched ----------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path):
    """A checkpoint that lies on the disk, with a pickle beside its weights."""
    folder = tiny.checkpoint(tmp_path / "local")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return folder


def fetch(folder, out, **more):
    backbones.fetch({"folder": str(folder)} | more, out, lineage.Made("fetch", "it"))
    return out


def test_replaced_weights_change_the_record(local, tmp_path):
    before = lineage.of(fetch(local, tmp_path / "out"))
    assert lineage.of(fetch(local, tmp_path / "out")) == before
    weights = local / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert lineage.of(fetch(local, tmp_path / "out")).fingerprint != before.fingerprint


def test_pickles_are_not_copied(local, tmp_path):
    out = fetch(local, tmp_path / "out")
    kept = files_of(out)
    assert set(kept) == set(files_of(local)) - {"pytorch_model.bin"}
    assert kept["model.safetensors"] == files_of(local)["model.safetensors"]
    assert lineage.of(out).who == "fetch it"
    assert AutoTokenizer.from_pretrained(out)("rank")["input_ids"]


@pytest.mark.parametrize("lost", ["model.safetensors", ""])
def test_a_folder_without_safetensors_is_refused(local, tmp_path, lost):
    if lost:
        (local / lost).unlink()
        wanted = "has no .*safetensors weights .pickled ones are never loaded"
    else:
        shutil.rmtree(local)
        wanted = "local is not a folder"
    with pytest.raises(BadSource, match=wanted) as caught:
        fetch(local, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def cased(folder, normalizer):
    """A tokenizer that keeps capitals: what MiniLM's configuration forgets to forbid."""
    words = {word: i for i, word in enumerate([*SPECIAL, "rank", "tensor"])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    special = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": False} | special
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


NORMALIZERS = {
    "BERT's": normalizers.BertNormalizer(lowercase=False),
    "another": normalizers.NFC(),
    "none": None,
    "no tokenizer.json": "only a vocabulary",
}


@pytest.mark.parametrize("normalizer", NORMALIZERS.values(), ids=NORMALIZERS.keys())
def test_lower_case_can_be_forced(local, tmp_path, normalizer):
    alone = isinstance(normalizer, str)
    cased(local, normalizers.BertNormalizer(lowercase=False) if alone else normalizer)
    if alone:
        (local / "tokenizer.json").unlink()
    before = AutoTokenizer.from_pretrained(fetch(local, tmp_path / "as-is"))
    assert before("Rank TENSOR")["input_ids"] == [2, 1, 1, 3]
    after = AutoTokenizer.from_pretrained(fetch(local, tmp_path / "forced", lower_case=True))
    assert after("Rank TENSOR")["input_ids"] == [2, 5, 6, 3]
    assert after("Rank", "TENSOR")["input_ids"] == [2, 5, 3, 6, 3]


def test_an_unreachable_hub_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    source = {"hub": "nobody/nothing-here", "revision": "main"}
    with pytest.raises(BadSource) as caught:
        backbones.fetch(source, tmp_path / "mini", lineage.Made("fetch", "mini"))
    said = str(caught.value)
    assert said.startswith("nobody/nothing-here at main cannot be reached (") and "\n" not in said
    assert "`{folder: path}` in place of `hub` under backbones.mini in params.yaml" in said
    assert not (tmp_path / "mini").exists()


def test_the_command_fetches_a_folder(local, tmp_path):
    words = ["fetch", str(tmp_path / "out"), "--source", json.dumps({"folder": str(local)})]
    result = CliRunner().invoke(cli, [*words, "--name", "local"])
    assert result.exit_code == 0, result.output
    assert lineage.of(tmp_path / "out").settings == {"source": {"folder": str(local)}}
