"""Shortcuts change how fast an encoder is; its scores and gradients stay those of transformers."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from redistil.learning.speed import shortcuts
from tests.made.checkpoints import PAIRS, close, every_family, ids_of, student_on

SHORT = {
    "bert",
    "distilbert",
    "electra",
    "roberta",
    "modernbert",
}  # their last layer computes one position
on_a_cpu_with_onednn = pytest.mark.skipif(
    not shortcuts._lays_out("float32"), reason="torch was built without oneDNN"
)


def both(checkpoints, family, tmp_path):
    """Return a student, and the plain network of transformers with the same weights."""
    student = student_on(checkpoints[family])
    student.save(tmp_path)
    return student, AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()


def given(student):
    return [ids_of(student, side) for side in zip(*PAIRS, strict=True)]


def layer_positions(network, family, inputs):
    """Return how many positions the last layer leaves."""
    layers = shortcuts._layers(network.base_model)
    seen = []
    handle = layers[-1].register_forward_hook(lambda *args: seen.append(args[-1]))
    network(**inputs)
    handle.remove()
    found = seen[0] if isinstance(seen[0], torch.Tensor) else seen[0][0]
    return found.shape[1]


@every_family
def test_gradients_equal_the_plain_network(checkpoints, family, tmp_path):
    student, plain = both(checkpoints, family, tmp_path)
    inputs = student.inputs(*given(student))
    gradients = torch.linspace(-1, 1, len(PAIRS))
    (student.score(*given(student)) * gradients).sum().backward()
    (plain(**inputs).logits.squeeze(-1) * gradients).sum().backward()
    wanted = dict(plain.named_parameters())
    reached = 0
    for name, weight in student.network.named_parameters():
        if wanted[name].grad is None:
            assert weight.grad is None, name
            continue
        reached += bool(weight.grad.abs().max() > 0)
        torch.testing.assert_close(weight.grad, wanted[name].grad, rtol=1e-4, atol=1e-5, msg=name)
    assert reached > 10


@every_family
def test_the_last_layer_computes_one_position(checkpoints, family, tmp_path):
    student, plain = both(checkpoints, family, tmp_path)
    inputs = student.inputs(*given(student))
    longest = inputs["input_ids"].shape[1]
    assert layer_positions(plain, family, inputs) == longest
    wanted = 1 if family in SHORT else longest
    assert layer_positions(student.network, family, inputs) == wanted


def test_the_short_layer_has_dropout(checkpoints):
    student = student_on(checkpoints["bert"])
    last = student.network.base_model.encoder.layer[-1]
    hidden = torch.randn(2, 5, 16)
    still = last.eval()(hidden)
    last.train()
    torch.manual_seed(3)
    once, other = last(hidden), last(hidden)
    torch.manual_seed(3)
    assert torch.equal(last(hidden), once)
    assert not torch.equal(once, other) and not torch.equal(once, still)


def test_other_attention_is_left_alone(checkpoints):
    student = student_on(checkpoints["bert"])
    network = AutoModelForSequenceClassification.from_pretrained(
        checkpoints["bert"], num_labels=1, attn_implementation="eager"
    ).eval()
    shortcuts.only_first_token(network)
    assert layer_positions(network, "bert", student.inputs(*given(student))) > 1


# --- for scoring alone ------------------------------------------------------------------------


@every_family
@torch.inference_mode()
def test_a_snapshot_scores_the_same(checkpoints, family):
    student = student_on(checkpoints[family])
    wanted = student.score(*given(student))
    close(student.for_scoring("float32").score(*given(student)), wanted)
    near = student.for_scoring("bfloat16").score(*given(student))
    assert 0 < (near - wanted).abs().max() < 0.1 * wanted.std() + 0.1
    assert torch.equal(student.score(*given(student)), wanted)


@every_family
def test_a_snapshot_leaves_the_student(checkpoints, family):
    student = student_on(checkpoints[family])
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    kinds = [type(module) for module in student.modules()]
    for precision in ("float32", "bfloat16"):
        student.for_scoring(precision)
    after = student.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert [type(module) for module in student.modules()] == kinds
    assert all(weight.requires_grad for weight in student.parameters())


@on_a_cpu_with_onednn
def test_training_changes_no_snapshot(checkpoints):
    student = student_on(checkpoints["bert"])
    snapshot = student.for_scoring("float32")
    layer = snapshot.network.base_model.encoder.layer[0]
    assert isinstance(layer.output.dense, shortcuts.OneDnnLinear)
    with torch.inference_mode():
        wanted = snapshot.score(*given(student))
    with torch.no_grad():
        for name, weight in student.network.named_parameters():
            if name.endswith("dense.weight"):
                weight.mul_(2)
    with torch.inference_mode():
        assert not torch.allclose(student.score(*given(student)), wanted, atol=1e-3)


@every_family
@torch.inference_mode()
def test_half_precision_logits_are_fine(checkpoints, family):
    """Else many candidates of a query would tie."""
    student = student_on(checkpoints[family])
    pairs = [(q, p) for q, _ in PAIRS for _, p in PAIRS]
    sides = [ids_of(student, side) for side in zip(*pairs, strict=True)]
    snapshot = student.for_scoring("bfloat16").score(*sides)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = student.score(*sides)
    for found in (snapshot, autocast):
        assert found.dtype == torch.float32
        assert not torch.equal(found, found.bfloat16().float())


@on_a_cpu_with_onednn
@torch.inference_mode()
def test_onednn_maps_are_linear_maps():
    for bias in (True, False):
        linear = torch.nn.Linear(6, 10, bias=bias)
        inputs = torch.randn(2, 3, 6)
        close(shortcuts.OneDnnLinear(linear)(inputs), linear(inputs))
