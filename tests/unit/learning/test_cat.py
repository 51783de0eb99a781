"""Cross-encoders of five families: their scores are those of plain transformers, saved or not."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from redistil.errors import BadSettings
from redistil.learning.students.cat import Cat
from tests.made.checkpoints import (
    FORM,
    PAIRS,
    ROOMY,
    close,
    every_family,
    ids_of,
    refused,
    scores,
    student_on,
    write_checkpoint,
)
from tests.made.hub import REACH, WORDS

pytestmark = pytest.mark.usefixtures("quiet")

NATIVE = {  # what stands before, between and after the two texts
    "bert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "distilbert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "electra": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "roberta": (["<s>"], ["</s>", "</s>"], ["</s>"]),
    "deberta-v2": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "modernbert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
}


@torch.no_grad()
def native(network: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Return the logits of plain transformers: the tokenizer's own pairs, padded by it."""
    queries, passages = zip(*pairs, strict=True)
    inputs = tokenizer(list(queries), list(passages), padding=True, return_tensors="pt")
    return network(**inputs).logits.squeeze(-1)


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


# --- saved and loaded -------------------------------------------------------------------------


@every_family
def test_only_the_head_is_drawn(checkpoints, family):
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


def test_a_killed_save_leaves_nothing(checkpoints, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "model-00001-of-00002.safetensors").write_bytes(b"half")
    student_on(checkpoints["bert"]).save(tmp_path)
    assert "model-00001-of-00002.safetensors" not in {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / ".partial").exists()


# --- what is refused --------------------------------------------------------------------------


@every_family
def test_a_trained_reranker_is_no_backbone(family, tmp_path):
    """Its head would be kept, and not drawn from the seed; the encoder alone is one."""
    auto = AutoModelForSequenceClassification
    folder = write_checkpoint(family, tmp_path / "trained", auto, {"num_labels": 1})
    wanted = "is a trained re-ranker, with its head: use it as a teacher"
    refused(lambda: Cat.new(folder, ROOMY | FORM, 1), str(folder), wanted)
    Cat.adopt(folder, ROOMY | FORM)


def test_a_pair_beyond_reach_is_refused(checkpoints):
    for family in ("bert", "electra", "roberta", "modernbert"):
        student_on(checkpoints[family], ROOMY | {"pair_length": REACH})
        with pytest.raises(BadSettings, match=f"pair_length.* {REACH} tokens at most, got 65"):
            student_on(checkpoints[family], ROOMY | {"pair_length": REACH + 1})
    # relative positions have no end
    student_on(checkpoints["deberta-v2"], ROOMY | {"pair_length": REACH + 1})
