"""A score that depends on the pairs around it is refused before anything is trained."""

import json

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, PreTrainedTokenizerFast

from redistil.errors import BadSource
from redistil.learning.splade import Splade
from redistil.learning.students.cat import Cat
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.study.architectures import ARCHITECTURES
from tests.made.checkpoints import FORM, ROOMY, student_on, write_checkpoint
from tests.made.hub import byte_pairs, word_pieces
from tests.made.students import student_of

BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}
CONV = {"embedding_size": 16, "head_ratio": 1, "conv_kernel_size": 3}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.5}
END = "<|endoftext|>"


@pytest.fixture(autouse=True)
def quiet():
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


def pieces(**more):
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=word_pieces(), **names, **more)


def bytewise():
    tokens = byte_pairs([END, "<pad>"])
    names = {"bos_token": END, "eos_token": END, "unk_token": END, "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokens, **names)


def checkpoint(folder, family, tokenizer, form=AutoModel, **settings):
    """Write a random checkpoint of a family."""
    torch.manual_seed(1)
    size = max(tokenizer.get_vocab().values()) + 1
    config = AutoConfig.for_model(family, vocab_size=size, **settings)
    form.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def refusal(folder, on=student_on):
    with pytest.raises(BadSource) as caught:
        on(folder)
    said = str(caught.value)
    assert said.startswith(f"{folder} is not a usable checkpoint: ") and "\n" not in said
    return said


@pytest.mark.parametrize(
    ("family", "more"), [("nystromformer", {}), ("yoso", {}), ("convbert", CONV)]
)
def test_networks_that_read_padding_are_refused(tmp_path, family, more):
    said = refusal(checkpoint(tmp_path / family, family, pieces(), **BERT, **more))
    assert f"since {family} reads the padding too: choose a model of another family" in said


@pytest.mark.parametrize(
    ("family", "more"), [("nystromformer", {}), ("yoso", {}), ("convbert", CONV)]
)
def test_other_architectures_that_read_padding_are_refused(tmp_path, family, more):
    """A linear head, and a first stage of SPLADE."""
    folder = checkpoint(tmp_path / family, family, pieces(), **BERT, **more)
    said = refusal(folder, lambda folder: student_of("cat-linear", folder))
    assert "a pair scores" in said and f"since {family} reads the padding too" in said
    folder = checkpoint(tmp_path / "mlm", family, pieces(), AutoModelForMaskedLM, **BERT, **more)
    said = refusal(folder, Splade.load)
    assert "a term of a text weighs" in said and f"since {family} reads the padding too" in said


def test_splade_on_a_sound_encoder_is_taken(tmp_path):
    folder = checkpoint(tmp_path / "bert", "bert", pieces(), AutoModelForMaskedLM, **BERT)
    assert Splade.load(folder).training


def test_another_padding_token_is_named(tmp_path):
    folder = checkpoint(tmp_path / "gpt", "gpt2", bytewise(), **GPT, pad_token_id=0)
    wanted = bytewise().pad_token_id
    assert f"write its tokenizer's pad_token_id, {wanted}, into" in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": wanted}))
    student_on(folder)


def test_a_missing_padding_token_is_named(tmp_path):
    folder = checkpoint(tmp_path / "gpt", "gpt2", bytewise(), **GPT)
    assert "it does not score a batch (Cannot handle batch sizes > 1" in refusal(folder)


def test_padding_on_the_left_is_refused(tmp_path):
    folder = checkpoint(tmp_path / "bert", "bert", pieces(padding_side="left"), **BERT)
    assert "its tokenizer pads on the left, where a pair scores" in refusal(folder)


@pytest.mark.parametrize(
    "architecture", sorted(ARCHITECTURES.keys() - {"cat", "tk"})
)  # tk's pads right
def test_a_saved_student_pads_on_the_right(tmp_path, architecture):
    """Texts that are read apart are padded on the right, whatever the backbone's tokenizer does."""
    folder = checkpoint(tmp_path / "bert", "bert", pieces(padding_side="left"), **BERT)
    (tmp_path / "saved").mkdir()
    student_of(architecture, folder).save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").padding_side == "right"


def test_unknown_token_types_are_refused(tmp_path):
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = pieces(model_input_names=inputs)
    folder = checkpoint(tmp_path / "bert", "bert", tokenizer, **BERT, type_vocab_size=1)
    assert "does not score a pair of its tokenizer's tokens (index out of range" in refusal(folder)


def test_a_probe_leaves_no_trace(tmp_path):
    folder = write_checkpoint("bert", tmp_path / "bert")
    student = Cat.new(folder, ROOMY | FORM, 1)
    drawn = torch.rand(3)
    assert not student.network.training
    Cat.new(folder, ROOMY | FORM, 1)
    assert torch.equal(torch.rand(3), drawn)
