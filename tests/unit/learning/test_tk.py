"""TK: positions and kernels by hand, a slow implementation, and the rates of its weights."""

import math

import numpy as np
import pytest
import torch

from redistil.errors import BadSettings
from redistil.learning.students.tk import MEANS, counts, positions
from redistil.storage.ragged import Tokens
from tests.made.students import PASSAGES, QUERIES, ids, student_of, write_words

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_words(tmp_path_factory.mktemp("tk") / "words")


def test_positions_by_hand():
    """Of width 4 the frequencies are 1 and 1/10,000; sines come first."""
    found = positions(2, 1, 4)[0].tolist()
    wanted = [math.sin(2), math.sin(2e-4), math.cos(2), math.cos(2e-4)]
    assert found == pytest.approx(wanted, abs=1e-6)


def test_kernels_by_hand():
    """A cosine of 1 lies in the bin of 1, at one deviation from 0.9 and at three from 0.7."""
    found = counts(torch.tensor([[1.0], [1.0], [0.7]]), np.array([0, 2, 3]))
    assert found.shape == (2, 1, len(MEANS))
    one = [math.exp(-(x**2) / 2) for x in (0, 1, 3)]
    assert found[0, 0, :3].tolist() == pytest.approx([2 * each for each in one], rel=1e-5)
    assert float(found[1, 0, 2]) == pytest.approx(1)


def attended(layer, states):
    """Return what one post-norm encoder layer makes of a text [L, width], head by head."""
    width, heads = states.shape[1], layer.self_attn.num_heads
    mapped = states @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias
    query, key, value = mapped.split(width, 1)
    size, found = width // heads, []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        weights = (query[:, own] @ key[:, own].T / math.sqrt(size)).softmax(1)
        found.append(weights @ value[:, own])
    out = torch.cat(found, 1) @ layer.self_attn.out_proj.weight.T + layer.self_attn.out_proj.bias
    states = layer.norm1(states + out)
    inner = (states @ layer.linear1.weight.T + layer.linear1.bias).relu()
    return layer.norm2(states + inner @ layer.linear2.weight.T + layer.linear2.bias)


def contextual(student, text: Tokens, start: int):
    words = student.word_embeddings.weight[torch.from_numpy(text).long()]
    width, found = words.shape[1], []
    for place in range(len(text)):
        angles = [(start + place) * 1e4 ** (-i / (width // 2 - 1)) for i in range(width // 2)]
        found.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    states = words + torch.tensor(found)
    for layer in student.network.layers:
        states = attended(layer, states)
    return student.mix * words + (1 - student.mix) * states


@torch.no_grad()
def slow(student, query: Tokens, passage: Tokens):
    """Return one score by loops over words and kernels."""
    asked, shown = contextual(student, query, 0), contextual(student, passage, 500)
    kernels = student.kernels
    logs, means = [0.0] * len(MEANS), [0.0] * len(MEANS)
    for word in asked:
        for number, mean in enumerate(MEANS):
            total = 0.0
            for other in shown:
                cosine = float(word @ other / word.norm() / other.norm())
                total += math.exp(-((cosine - mean) ** 2) / 0.02)
            if student.settings.variant == "v2":
                weighed = float(kernels.weighed[number]) * total
                logs[number] += math.log(max(weighed, 1e-10))
            else:
                logs[number] += float(kernels.scale) * math.log2(max(total, 1e-10))
                means[number] += float(kernels.scale) * total / (len(passage) + 1)
    if student.settings.variant == "v2":
        return float(kernels.score.weight[0] @ torch.tensor(logs))
    both = [
        float(kernels.of_logs.weight[0] @ torch.tensor(logs)),
        float(kernels.of_means.weight[0] @ torch.tensor(means)),
    ]
    return float(kernels.score.weight[0] @ torch.tensor(both))


@pytest.mark.parametrize("variant", ["v2", "ecai"])
def test_scores_are_those_of_loops(folder, variant):
    student = student_of("tk", folder, variant=variant)
    for query in (QUERIES[0], QUERIES[2]):
        for passage in (PASSAGES[0], PASSAGES[2]):
            asked, shown = ids(student, query), ids(student, passage)
            with torch.no_grad():
                got = student.score(asked, shown)
            wanted = slow(student, asked[0][:8], shown[0][:12])
            assert float(got) == pytest.approx(wanted, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("variant", ["v2", "ecai"])
def test_first_weights_are_those_of_the_code(folder, variant):
    from redistil.learning import students
    from tests.made.students import settings_of

    student = students.new(settings_of("tk", variant=variant), folder, 1)
    assert student.mix.item() == 0.5
    maps = [module for module in student.kernels.modules() if isinstance(module, torch.nn.Linear)]
    assert len(maps) == (1 if variant == "v2" else 3)
    for linear in maps:
        assert linear.bias is None and 0 < linear.weight.abs().max() <= 0.014
    if variant == "v2":
        assert student.kernels.weighed.tolist() == [1.0] * 11
    else:
        assert student.kernels.scale.item() == pytest.approx(0.01)


def test_texts_without_words_have_gradients(folder):
    student = student_of("tk", folder)
    nothing = np.array([], np.int32)
    (some,) = ids(student, "cat dog")
    scores = student.train().score([some, nothing, some], [nothing, some, some])
    assert scores[1] == 0
    scores.sum().backward()
    for name, weight in student.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


def test_every_weight_has_one_rate(folder):
    student = student_of("tk", folder)
    groups = student.groups()
    assert [group.factor for group in groups] == [1.0, 10.0, 0.7]
    grouped = [id(weight) for group in groups for weight in group.weights]
    assert sorted(grouped) == sorted(id(weight) for weight in student.parameters())


def test_heads_must_share_a_vector(folder):
    with pytest.raises(BadSettings, match="heads: word vectors of 8 numbers cannot be shared by 3"):
        student_of("tk", folder, heads=3)
