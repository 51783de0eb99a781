"""Students on tiny checkpoints of five families: their scores are those of plain transformers."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from redistil import lineage, processes, ragged, scoring, students
from redistil.errors import BadSettings, BadSource, Stale
from redistil.ragged import Ragged
from redistil.scoring import mean_scores, score_pairs
from redistil.splade import Splade, flops
from redistil.students.cat import Cat
from redistil.students.checkpoints import load_tokenizer
from tests.unit.hub import (
    DISENTANGLED,
    REACH,
    WORDS,
    modern_pairs,
    roberta_pairs,
    unigrams,
    word_pieces,
)

ROOMY = {"query_length": 20, "passage_length": 30, "pair_length": 60}

PAIRS = [
    ("cat dog", "the red bird sings over the river"),
    ("stone", "bird"),
    ("query", ""),
    ("Cat, DOG! zebra?", "Ünïcode 日本 \n\t under   the lazy \u200b stone."),
    (" ".join(WORDS), " ".join(WORDS[::-1])),
]


# --- checkpoints as the hub has them ----------------------------------------------------------


NAMES = {kind: f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")}
ROBERTA_NAMES = {kind: f"<{kind}>" for kind in ("pad", "unk", "mask")} | {
    "cls": "<s>",
    "sep": "</s>",
    "bos": "<s>",
    "eos": "</s>",
}
FAMILIES: dict[str, tuple[Any, str, dict[str, Any], dict[str, Any]]] = {
    "bert": (word_pieces, "BertTokenizer", {"do_lower_case": True}, {}),
    "electra": (word_pieces, "ElectraTokenizer", {"do_lower_case": True}, {"embedding_size": 8}),
    "roberta": (
        roberta_pairs,
        "RobertaTokenizer",
        {},
        {"type_vocab_size": 1, "max_position_embeddings": REACH + 2},
    ),
    "deberta-v2": (unigrams, "DebertaV2Tokenizer", {}, DISENTANGLED),
    "modernbert": (
        modern_pairs,
        "PreTrainedTokenizerFast",
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
    ),
}
NATIVE = {  # what stands before, between and after the two texts
    "bert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "electra": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "roberta": (["<s>"], ["</s>", "</s>"], ["</s>"]),
    "deberta-v2": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "modernbert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
}


def write_tokenizer(family: str, folder: Path) -> dict[str, int]:
    """Write a tokenizer's two files; return the ids of its special tokens."""
    trained, kind, config, _ = FAMILIES[family]
    tokenizer = trained()
    names = ROBERTA_NAMES if family == "roberta" else NAMES
    tokenizer.add_special_tokens(list(names.values()))
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = {f"{key}_token": token for key, token in names.items()}
    said = {"tokenizer_class": kind, "model_max_length": REACH} | tokens | config
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return {key: tokenizer.token_to_id(token) for key, token in names.items()} | {
        "size": tokenizer.get_vocab_size()
    }


def write_checkpoint(
    family: str, folder: Path, auto: Any = AutoModel, settings: Mapping[str, Any] | None = None
) -> Path:
    """Write a random checkpoint with weights so large that every token moves the score."""
    folder.mkdir(parents=True)
    ids = write_tokenizer(family, folder)
    shape = {
        "vocab_size": ids["size"],
        "pad_token_id": ids["pad"],
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": REACH,
        "initializer_range": 0.4,
    }
    config = AutoConfig.for_model(family, **(shape | FAMILIES[family][3] | dict(settings or {})))
    torch.manual_seed(5)
    auto.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def quiet():
    before, threads = transformers.logging.get_verbosity(), torch.get_num_threads()
    torch.set_num_threads(1)  # more are slower on networks this small
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.set_verbosity(before)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(family, root / family) for family in FAMILIES}


every_family = pytest.mark.parametrize("family", FAMILIES)


def student_on(folder: Path, lengths: dict[str, int] = ROOMY, seed: int = 1) -> Cat:
    return Cat.new(folder, lengths, seed, "native").eval()


def ids_of(student: Cat, texts: Sequence[str]) -> list[np.ndarray]:
    """Return token ids as the token files have them."""
    found = student.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [np.array(row, np.int32) for row in found]


@torch.no_grad()
def scores(student: Cat, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    queries, passages = zip(*pairs, strict=True)
    return student.score(ids_of(student, queries), ids_of(student, passages))


@torch.no_grad()
def native(network: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Return the logits of plain transformers: the tokenizer's own pairs, padded by it."""
    queries, passages = zip(*pairs, strict=True)
    inputs = tokenizer(list(queries), list(passages), padding=True, return_tensors="pt")
    return network(**inputs).logits.squeeze(-1)


def close(got: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


# --- the same logits --------------------------------------------------------------------------


@every_family
def test_scores_are_those_of_the_native_pair(checkpoints, family):
    student = student_on(checkpoints[family])
    wanted = native(student.network, student.tokenizer, PAIRS)
    assert wanted.std() > 0.1  # else any pair would do
    close(scores(student, PAIRS), wanted)


@every_family
def test_inputs_are_the_native_ones(checkpoints, family):
    student = student_on(checkpoints[family])
    queries, passages = (ids_of(student, side) for side in zip(*PAIRS, strict=True))
    got = student.inputs(queries, passages)
    texts = [list(side) for side in zip(*PAIRS, strict=True)]
    wanted = student.tokenizer(*texts, padding=True, return_tensors="pt")
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(got[name], wanted[name]), name
    assert student.lengths_of(queries, passages) == wanted["attention_mask"].sum(1).tolist()


@every_family
def test_the_template_is_the_one_of_the_family(checkpoints, family):
    student = student_on(checkpoints[family])
    template, name = student.template, student.tokenizer.convert_ids_to_tokens
    parts = (template.before, template.between, template.after)
    assert tuple(name(list(part)) for part in parts) == NATIVE[family]
    assert template.pad == student.tokenizer.pad_token_id


@every_family
@pytest.mark.parametrize(
    ("caps", "kept"),
    [
        ((3, 30, 60), (3, 12)),
        ((20, 5, 60), (10, 5)),
        ((20, 30, 18), (10, None)),
        ((2, 7, 60), (2, 7)),
    ],
    ids=["query", "passage", "pair", "both"],
)
def test_long_texts_are_cut_by_their_ids(checkpoints, family, caps, kept):
    lengths = dict(zip(ROOMY, caps, strict=True))
    student = student_on(checkpoints[family], lengths)
    query, passage = WORDS[:10], WORDS[2:14]
    q, p = kept
    p = 18 - student.template.special - q if p is None else p
    # every word is one token here, so that a text can be cut by words as well
    assert [len(ids) for ids in ids_of(student, WORDS)] == [1] * len(WORDS) or family in (
        "roberta",
        "modernbert",  # where it is one with the space before it, as in the texts below
    )
    long = [(" ".join(query), " ".join(passage))]
    cut = [(" ".join(query[:q]), " ".join(passage[:p]))]
    assert len(ids_of(student, long[0])[0]) == 10 and len(ids_of(student, cut[0])[1]) == p
    close(scores(student, long), native(student.network, student.tokenizer, cut))
    assert student.lengths_of(*([ids] for ids in ids_of(student, long[0]))) == [
        q + p + student.template.special
    ]


@every_family
def test_what_else_is_in_the_batch_does_not_matter(checkpoints, family):
    student = student_on(checkpoints[family])
    together = scores(student, PAIRS)
    alone = torch.cat([scores(student, [pair]) for pair in PAIRS])
    close(alone, together)
    close(scores(student, PAIRS[::-1]).flip(0), together)


# --- checkpoints ------------------------------------------------------------------------------


@every_family
def test_the_encoder_is_the_checkpoint_and_the_head_is_drawn_from_the_seed(checkpoints, family):
    one, same, other = (student_on(checkpoints[family], seed=seed).network for seed in (1, 1, 2))
    backbone = AutoModel.from_pretrained(checkpoints[family]).state_dict()
    weights = one.state_dict()
    prefix = one.base_model_prefix + "."
    encoder = {name for name in weights if name.startswith(prefix)}
    assert len(encoder) > 10
    for name in encoder:
        assert torch.equal(weights[name], backbone[name.removeprefix(prefix)]), name
    assert all(torch.equal(weights[name], value) for name, value in same.state_dict().items())
    changed = {n for n, value in other.state_dict().items() if not torch.equal(weights[n], value)}
    assert changed and changed.isdisjoint(encoder)
    assert any("classifier" in name for name in changed)


@every_family
def test_what_is_saved_is_loaded(checkpoints, family, tmp_path):
    student = student_on(checkpoints[family])
    wanted = scores(student, PAIRS)
    student.save(tmp_path)
    loaded = Cat.load(tmp_path).eval()
    # not equal to the bit: where weights lie in memory decides how some products are rounded
    close(scores(loaded, PAIRS), wanted)
    assert loaded.lengths == student.lengths and loaded.template == student.template
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".bin" or file.is_dir()]


@every_family
def test_transformers_reads_what_is_saved(checkpoints, family, tmp_path):
    student = student_on(checkpoints[family])
    student.save(tmp_path)
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert network.config.num_labels == 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    close(native(network, tokenizer, PAIRS), scores(student, PAIRS))


@every_family
def test_cross_encoder_reads_what_is_saved(checkpoints, family, tmp_path):
    """Without being told so: a sigmoid over the logit is what it does by default."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    student = student_on(checkpoints[family])
    student.save(tmp_path)
    theirs = sentence_transformers.CrossEncoder(str(tmp_path), device="cpu", local_files_only=True)
    wanted = scores(student, PAIRS)
    assert wanted.min() < 0 or wanted.max() > 1  # no sigmoid could give these
    got = theirs.predict(PAIRS, convert_to_tensor=True, show_progress_bar=False)
    close(got, wanted)
    got = theirs.predict(
        PAIRS, activation_fn=torch.nn.Identity(), convert_to_tensor=True, show_progress_bar=False
    )
    close(got, wanted)


def test_saving_is_the_same_bytes_every_time(checkpoints, tmp_path):
    student = student_on(checkpoints["bert"])
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        student.save(folder)
    first, second = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert first == second


def test_what_a_killed_save_left_is_not_taken_over(checkpoints, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model-00001-of-00002.safetensors").write_bytes(b"half")
    student_on(checkpoints["bert"]).save(tmp_path)
    assert "model-00001-of-00002.safetensors" not in {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / ".partial").exists()


# --- folders that will not do -----------------------------------------------------------------


def refused(action: Any, *parts: str) -> None:
    with pytest.raises(BadSource) as caught:
        action()
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert part in said, said


@every_family
@pytest.mark.parametrize("kept", [[], ["tokenizer_config.json"]], ids=["nothing", "config"])
def test_a_folder_without_tokenizer_is_refused(checkpoints, family, kept, tmp_path):
    """Transformers would make up one that knows no word."""
    folder = tmp_path / family
    shutil.copytree(checkpoints[family], folder)
    for name in {"tokenizer.json", "tokenizer_config.json"} - set(kept):
        (folder / name).unlink()
    refused(lambda: load_tokenizer(folder), str(folder), "not a usable checkpoint")
    refused(lambda: Cat.new(folder, ROOMY, 1, "native"), str(folder), "not a usable checkpoint")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    network = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")


def truncated_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def half_a_config(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nothing-of-this-name"}')


def other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))


def another_architectures_weights(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))


def half_a_tokenizer(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 2])


def another_tokenizer_file(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"added_tokens": [], "model": {"type": "Cat"}}')


def nothing_at_all(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "harm",
    [
        no_weights,
        pickled_weights,
        truncated_weights,
        empty_weights,
        no_config,
        half_a_config,
        unknown_architecture,
        other_shapes,
        another_architectures_weights,
        half_a_tokenizer,
        another_tokenizer_file,
        nothing_at_all,
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_folder_that_will_not_do_is_refused_in_one_sentence(checkpoints, harm, tmp_path):
    folder = tmp_path / "backbone"
    shutil.copytree(checkpoints["bert"], folder)
    harm(folder)
    refused(lambda: Cat.new(folder, ROOMY, 1, "native"), f"{folder} is not a usable checkpoint: ")


def test_a_missing_head_is_drawn_for_a_new_student_and_refused_in_a_trained_one(
    checkpoints, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["bert"], folder)
    (folder / "lengths.json").write_text(json.dumps(ROOMY))
    refused(lambda: Cat.load(folder), "2 weights of a BertForSequenceClassification", "classifier")


@every_family
def test_a_trained_re_ranker_is_no_backbone_of_a_new_student(family, checkpoints, tmp_path):
    """Its head would be kept, and not drawn from the seed; the encoder alone is one."""
    auto = AutoModelForSequenceClassification
    folder = write_checkpoint(family, tmp_path / "trained", auto, {"num_labels": 1})
    wanted = "is a trained re-ranker, with its head: use it as a teacher"
    refused(lambda: Cat.new(folder, ROOMY, 1, "native"), str(folder), wanted)
    Cat.adopt(folder, ROOMY, "native")


@every_family
def test_the_head_of_a_new_student_is_drawn_from_its_seed(family, checkpoints):
    def head(seed: int) -> dict[str, torch.Tensor]:
        network = student_on(checkpoints[family], seed=seed).network
        return {k: w for k, w in network.named_parameters() if k.startswith("classifier")}

    once, again, other = head(1), head(1), head(2)
    assert once and all(torch.equal(again[name], weight) for name, weight in once.items())
    assert any(not torch.equal(other[name], weight) for name, weight in once.items())


def test_a_pair_longer_than_the_backbone_reads_is_refused(checkpoints):
    for family in ("bert", "electra", "roberta", "modernbert"):
        student_on(checkpoints[family], ROOMY | {"pair_length": REACH})
        with pytest.raises(BadSettings, match=f"pair_length.* {REACH} tokens at most, got 65"):
            student_on(checkpoints[family], ROOMY | {"pair_length": REACH + 1})
    # relative positions have no end
    student_on(checkpoints["deberta-v2"], ROOMY | {"pair_length": REACH + 1})


def test_the_recipe_names_architecture_and_lengths(checkpoints):
    recipe = {"architecture": "cat", "loss": "kl", "pair_form": "native", **ROOMY}
    student = students.new(recipe, checkpoints["bert"], 1)
    assert isinstance(student, Cat) and student.lengths == ROOMY


def test_a_trained_model_is_loaded_by_its_record(checkpoints, tmp_path):
    student = student_on(checkpoints["bert"])
    student.save(tmp_path)
    refused(lambda: students.load(tmp_path), str(tmp_path), "no made.json")
    record = tmp_path / lineage.SIDECAR
    record.write_text(lineage.make("fetch", "tiny", {"hub": "x"}, "", []).dumps())
    refused(lambda: students.load(tmp_path), "not a trained model but fetch tiny")
    record.write_text("nothing")
    with pytest.raises(Stale):
        students.load(tmp_path)
    record.write_text(lineage.make("train", "m", {"architecture": "cat"}, "", []).dumps())
    close(scores(students.load(tmp_path).eval(), PAIRS), scores(student, PAIRS))


# --- many pairs -------------------------------------------------------------------------------


@pytest.fixture
def files(checkpoints, tmp_path) -> tuple[Cat, Ragged, Ragged]:
    """A student, and the token files of the queries and passages of PAIRS."""
    student = student_on(checkpoints["roberta"])
    for side, texts in zip(("q", "p"), zip(*PAIRS, strict=True), strict=True):
        with ragged.writer(tmp_path / f"{side}.arrow", lineage.make("t", side, {}, "", [])) as add:
            add(
                [str(i) for i in range(len(texts))],
                [row.tolist() for row in ids_of(student, texts)],
            )
    return student, Ragged(tmp_path / "q.arrow"), Ragged(tmp_path / "p.arrow")


ROWS = np.array([4, 0, 0, 3, 1, 2, 4]), np.array([4, 0, 1, 3, 1, 2, 0])


def test_scores_of_many_pairs_are_in_the_order_given(files, monkeypatch):
    student, queries, passages = files
    pairs = [(PAIRS[q][0], PAIRS[p][1]) for q, p in zip(*ROWS, strict=True)]
    wanted = scores(student, pairs)
    for budget, window in ((4096, 1 << 16), (40, 3), (1, 1)):
        monkeypatch.setitem(scoring.BUDGET, "cpu", budget)
        monkeypatch.setattr(scoring, "WINDOW", window)
        got = score_pairs(student.train(), queries, passages, ROWS, "float32")
        assert got.dtype == np.float32
        close(torch.from_numpy(got), wanted)


def test_no_pair_has_no_score(files):
    none = np.array([], np.int64)
    assert score_pairs(*files, (none, none), "float32").shape == (0,)


def test_half_precision_is_near(files):
    exact, near = (score_pairs(*files, ROWS, name) for name in ("float32", "bfloat16"))
    assert near.dtype == np.float32
    assert 0 < np.abs(exact - near).max() < 0.1


def test_an_ensemble_is_the_plain_mean_of_logits(checkpoints, files):
    first, queries, passages = files
    second = student_on(checkpoints["roberta"], seed=2)
    alone = [score_pairs(s, queries, passages, ROWS, "float32") for s in (first, second)]
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    members = [(student, queries, passages) for student in (first, second)]
    both = mean_scores(members, [ROWS] * 2, "float32")
    np.testing.assert_allclose(both, sum(alone) / 2, atol=1e-6)
    np.testing.assert_array_equal(mean_scores([members[0]] * 2, [ROWS] * 2, "float32"), alone[0])


def test_a_device_that_is_not_there_is_refused():
    assert processes.device_of("cpu") == torch.device("cpu")
    for name in ("cuda:99", "nonsense", "xla"):
        with pytest.raises(BadSettings, match=f"--device: this machine has no '{name}'"):
            processes.device_of(name)


# --- SPLADE -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Splade:
    folder = tmp_path_factory.mktemp("splade") / "bert"
    return Splade.load(write_checkpoint("bert", folder, AutoModelForMaskedLM)).eval()


TEXTS = [passage for _, passage in PAIRS]


@torch.no_grad()
def test_a_vector_is_the_largest_weight_of_each_term(encoder):
    for text in TEXTS:
        ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        inputs = encoder.tokenizer([text], return_tensors="pt")
        logits = encoder.network(**inputs).logits[0]
        wanted = torch.log(1 + logits.relu()).max(dim=0).values
        got = encoder.vectors([np.array(ids, np.int32)], 60)[0]
        close(got, wanted)
        assert (got >= 0).all() and got.max() > 0


@torch.no_grad()
def test_a_vector_does_not_depend_on_the_batch_and_is_cut(encoder):
    tokens = [
        np.array(row, np.int32)
        for row in encoder.tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    ]
    together = encoder.vectors(tokens, 60)
    close(torch.cat([encoder.vectors([row], 60) for row in tokens]), together)
    close(encoder.vectors(tokens, 6), encoder.vectors([row[:4] for row in tokens], 60))


def test_flops_by_hand():
    assert flops(torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])) == 2.0**2 + 1.0**2


def test_a_checkpoint_without_masked_lm_head_is_no_encoder(checkpoints):
    """Its head would be random: so would be the first stage, without a word."""
    refused(lambda: Splade.load(checkpoints["bert"]), "BertForMaskedLM", "cls.predictions")
