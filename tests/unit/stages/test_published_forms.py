"""Re-rankers in the forms of other libraries: scored here as their own library scores them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from redistil.errors import BadSource
from redistil.learning import students
from redistil.stages import backbones
from redistil.stages.backbones import published
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.placed import checkpoint_files
from tests.made import checkpoints, forms
from tests.made.checkpoints import refused
from tests.made.configs import resolved

READS = {"query_length": 20, "passage_length": 30, "pair_length": 64, "pair_form": "native"}
READS |= {"architecture": "cat"}
ANSWERS = {"prompt": forms.PROMPT, "yes": "cat", "no": "dog"}
PAIRS = [
    ("cat dog", "the red bird sings over the river"),
    ("stone", "bird"),
    ("lazy river runs", "fast dog, blue stone!"),
    ("query", "x"),
]
MADE = Made("fetch", "theirs")
WRITERS = {
    "modules": (forms.modules, {}),
    "lightning-ir": (forms.lightning_ir, {}),
    "bert-cat": (forms.bert_cat, {}),
    "yes-no": (forms.yes_no, ANSWERS),
}


@pytest.fixture(autouse=True)
def small_encoder(monkeypatch, tmp_path):
    """Let the encoder that a BERT_Cat names be the tiny one of these tests."""
    config = AutoConfig.from_pretrained(checkpoints.write_checkpoint("bert", tmp_path / "small"))
    named = lambda stated, original: config.to_dict()  # noqa: E731
    monkeypatch.setitem(published.CONFIGS, "bert-cat", named)


def fetched(folder, form, **more):
    source = {"folder": str(folder / "theirs"), "form": form, **more}
    backbones.fetch(source, folder / "ours", MADE)
    return folder / "ours"


def adopted(folder, form, **more):
    """Return the model of a checkpoint, as it is after it was saved and loaded."""
    model = students.adopt(READS, fetched(folder, form, **more))
    (folder / "model").mkdir()
    model.save(folder / "model")
    return type(model).load(folder / "model").eval()


@pytest.mark.parametrize("form", WRITERS)
def test_scores_equal_their_own_library(tmp_path, form):
    write, more = WRITERS[form]
    theirs = write(tmp_path)
    model = adopted(tmp_path, form, **more)
    wanted = torch.tensor([theirs(*pair) for pair in PAIRS])
    assert wanted.std() > 0.05, "the weights tell pairs apart"
    checkpoints.close(checkpoints.scores(model, PAIRS), wanted)
    checkpoints.close(checkpoints.scores(model.for_scoring("float32"), PAIRS), wanted)


def test_bfloat16_stays_near(tmp_path):
    theirs = forms.lightning_ir(tmp_path)
    model = adopted(tmp_path, "lightning-ir").for_scoring("bfloat16")
    for pair, score in zip(PAIRS, checkpoints.scores(model, PAIRS).tolist(), strict=True):
        assert score == pytest.approx(theirs(*pair), abs=0.3)


def test_files_of_modules_are_known(tmp_path):
    forms.modules(tmp_path)
    files = checkpoint_files(tmp_path / "theirs")
    names = {file.relative_to(tmp_path / "theirs").as_posix() for file in files}
    assert {"modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"} <= names
    (source,) = lineage.of(fetched(tmp_path, "modules")).ancestors.values()
    assert "4_Dense/model.safetensors" in source.settings["sha256"]


def test_published_encoders_have_their_shape():
    settle = {"distilbert-base-uncased": (768, 6), "google/bert-base-uncased": (768, 12)}
    for name, (width, layers) in settle.items():
        stated = published.encoder_of_bert_cat({"bert_model": name}, None)
        config = AutoConfig.for_model(**stated)
        assert (config.hidden_size, config.num_hidden_layers) == (width, layers)


def change(folder, file, **keys):
    forms.change(folder / "theirs" / file, **keys)


def without_head(folder):
    weights = folder / "theirs/model.safetensors"
    kept = {name: value for name, value in load_file(weights).items() if "linear" not in name}
    save_file(kept, weights, {"format": "pt"})


def of_two(folder):
    weights = folder / "theirs/4_Dense/model.safetensors"
    save_file({"linear.weight": torch.ones(2, 16), "linear.bias": torch.ones(2)}, weights)


def unknown_module(folder):
    modules = folder / "theirs/modules.json"
    listed = json.loads(modules.read_text())
    listed[3]["type"] = "someone.code.Wizard"
    modules.write_text(json.dumps(listed))


def outside(folder):
    modules = folder / "theirs/modules.json"
    listed = json.loads(modules.read_text())
    listed[2]["path"] = "../encoder"
    modules.write_text(json.dumps(listed))


DAMAGE = {
    "no head": ("lightning-ir", without_head, "no weights linear.*"),
    "another library": (
        "lightning-ir",
        lambda folder: change(folder, "config.json", backbone_model_type="wizard"),
        "is not a usable checkpoint",
    ),
    "pooling": (
        "lightning-ir",
        lambda folder: change(folder, "config.json", pooling_strategy="max"),
        "wanted the pooling first or mean, got 'max'",
    ),
    "module": ("modules", unknown_module, "the module Wizard is not known here"),
    "place": ("modules", outside, "lies outside"),
    "activation": (
        "modules",
        lambda folder: change(folder, "2_Dense/config.json", activation_function="os.system"),
        "the activation 'system' is not known here",
    ),
    "no modules": (
        "modules",
        lambda folder: (folder / "theirs/modules.json").unlink(),
        "modules.json is missing: check the form",
    ),
}


@pytest.mark.parametrize(("form", "damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_another_form_is_refused(tmp_path, form, damage, said):
    WRITERS[form][0](tmp_path)
    damage(tmp_path)
    refused(lambda: fetched(tmp_path, form), said)
    assert not (tmp_path / "ours").exists(), "nothing is left half-written"


def test_two_logits_are_refused(tmp_path):
    forms.modules(tmp_path)
    of_two(tmp_path)
    refused(lambda: fetched(tmp_path, "modules"), "its head gives 2 numbers", "one raw logit")


def test_an_answer_is_one_token(tmp_path):
    forms.yes_no(tmp_path)
    long = ANSWERS | {"yes": "zebra crossing"}
    refused(lambda: fetched(tmp_path, "yes-no", **long), "the answer 'zebra crossing' is")


def test_spaces_before_both_or_none(tmp_path):
    forms.yes_no(tmp_path)
    uneven = ANSWERS | {"prompt": "query:{query}\nbird: {passage}"}
    with pytest.raises(BadSource, match="a space stands before one of"):
        fetched(tmp_path, "yes-no", **uneven)


def test_the_catalogue_has_a_language_model(tmp_path):
    """Its prompt reads a pair as one text is read; its answers are two tokens."""
    entry = resolved("published-checkpoints").checkpoints["qwen3-reranker-0.6b"]
    theirs = forms.qwen(tmp_path)
    answers = {key: entry[key] for key in ANSWERS}
    folder = fetched(tmp_path, "yes-no", **answers)
    model = students.adopt(entry.how(), folder)
    wanted = torch.tensor([theirs(*pair) for pair in PAIRS])
    assert wanted.std() > 0.05
    checkpoints.close(checkpoints.scores(model, PAIRS), wanted)


def test_prompts_without_spaces_join_exactly(tmp_path):
    theirs = forms.yes_no(tmp_path, prompt="river\n{query}\nbird\n{passage}\nstone")
    prompt = "river\n{query}\nbird\n{passage}\nstone"
    model = adopted(tmp_path, "yes-no", **(ANSWERS | {"prompt": prompt}))
    wanted = torch.tensor([theirs(*pair) for pair in PAIRS])
    checkpoints.close(checkpoints.scores(model, PAIRS), wanted)
