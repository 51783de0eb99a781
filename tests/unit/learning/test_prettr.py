"""PreTTR: a slow implementation of the split, positions, and what is refused."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModel

from redistil.errors import BadSettings
from redistil.learning.pairs import Pairs
from tests.made.checkpoints import write_checkpoint
from tests.made.students import FAMILIES, PASSAGES, QUERIES, ids, student_of

pytestmark = pytest.mark.usefixtures("quiet")


@torch.no_grad()
def slow(student, folder, query, passage, start):
    """Return one score: layer by layer, one pair without padding, attention written out."""
    network = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = student.tokenizer
    asked = tokenizer(query)["input_ids"]
    shown = tokenizer(passage)["input_ids"][1:]
    # RoBERTa keeps its first positions for padding
    offset = network.config.pad_token_id + 1 if type(network).__name__ == "RobertaModel" else 0
    kinds = tokenizer("cat", "dog").get("token_type_ids") or [0]
    sides = []
    for text, place, kind in ((asked, 0, kinds[0]), (shown, start, kinds[-1])):
        given = {"input_ids": torch.tensor([text])}
        given["position_ids"] = torch.arange(place, place + len(text))[None] + offset
        if hasattr(network.embeddings, "token_type_embeddings"):
            given["token_type_ids"] = torch.full((1, len(text)), kind)
        states = network.embeddings(**given)
        if hasattr(network, "embeddings_project"):
            states = network.embeddings_project(states)
        sides.append(states)
    stack = getattr(network, "transformer", None) or network.encoder
    for layer in stack.layer[:1]:
        sides = [layer(states, None) for states in sides]
    states = torch.cat(sides, 1)
    for layer in stack.layer[1:]:
        states = layer(states, None)
    return float(states[0, 0] @ student.head.weight[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_split(checkpoints, family):
    folder = checkpoints[family]
    student = student_of("prettr", folder, query_length=20, passage_length=30)
    for query, passage in zip(QUERIES, PASSAGES, strict=False):
        with torch.no_grad():
            got = student.score(ids(student, query), ids(student, passage))
        wanted = slow(student, folder, query, passage, start=22)
        assert float(got) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


# --- by hand --------------------------------------------------------------------------------------

# Two directions at right angles, of mean 0: a layer norm only sets the length of their sums.
EAST, NORTH = torch.tensor([1.0, -1.0, 0.0]) / 2**0.5, torch.tensor([1.0, 1.0, -2.0]) / 6**0.5


def hand_made(folder):
    """Return a student of width 3 whose attention adds up what it reads, and which does no more.

    Below the split every token is read alike. Above it a token that points east by x counts e^x
    times. `[CLS]` and `[SEP]` point east and `cat` north; `dog` points west, but at the first
    position of a passage, 10, north.
    """
    shape = {"hidden_size": 3, "num_attention_heads": 1}
    student = student_of("prettr", write_checkpoint("distilbert", folder, settings=shape))
    network, one = student.network, torch.eye(3)
    for name, weight in network.named_parameters():
        weight.data.fill_(1.0 if "orm.weight" in name else 0.0)
    for layer in network.transformer.layer:
        for lin in (layer.attention.k_lin, layer.attention.v_lin, layer.attention.out_lin):
            lin.weight.data = one.clone()
    network.transformer.layer[1].attention.q_lin.bias.data = EAST.clone()
    words, places = network.embeddings.word_embeddings, network.embeddings.position_embeddings
    vocabulary = student.tokenizer.get_vocab()
    for word, points in (("[CLS]", EAST), ("[SEP]", EAST), ("cat", NORTH), ("dog", -EAST)):
        words.weight.data[vocabulary[word]] = points
    places.weight.data[10] = EAST + NORTH
    student.head.weight.data = EAST[None] / 3**0.5
    return student


def towards(x, y):
    """Return the direction of a point."""
    return x / math.hypot(x, y), y / math.hypot(x, y)


def test_a_score_by_hand(tmp_path):
    """The query reads [CLS] cat [SEP], the passage dog [SEP]; each token is (east, north)."""
    cls = sep = towards(1 + 2 / 3, 1 / 3)  # the mean of (1, 0), (0, 1), (1, 0) is added
    cat = towards(2 / 3, 1 + 1 / 3)
    dog, end = towards(1 / 2, 1 + 1 / 2), towards(1 + 1 / 2, 1 / 2)  # that of (0, 1), (1, 0)
    above = [cls, cat, sep, dog, end]
    counts = [math.exp(token[0]) for token in above]
    east, north = np.average(above, axis=0, weights=counts)
    wanted, _ = towards(cls[0] + east, cls[1] + north)
    student = hand_made(tmp_path / "bert")
    with torch.no_grad():
        got = student.score(ids(student, "cat"), ids(student, "dog"))
    assert float(got) == pytest.approx(wanted, rel=1e-5)
    assert wanted == pytest.approx(0.9456, abs=1e-4)


# --- positions and refusals -----------------------------------------------------------------------


def test_an_offset_of_the_batch(checkpoints):
    """A passage then starts after the longest query of its batch, and nothing can be stored."""
    folder = checkpoints["distilbert"]
    student = student_of("prettr", folder, offset="batch", query_length=20, passage_length=30)
    assert student.kept is None
    queries, passages = ids(student, *QUERIES[:2]), ids(student, *PASSAGES[:2])
    longest = max(len(query) for query in queries) + 2
    with torch.no_grad():
        got = student.scores(Pairs.aligned(queries, passages))
    for place in range(2):
        wanted = slow(student, folder, QUERIES[place], PASSAGES[place], start=longest)
        assert float(got[place]) == pytest.approx(wanted, rel=1e-4)
        alone = student.score(queries[1:], passages[1:]).detach()
    assert len(queries[0]) != len(queries[1]) and abs(float(alone - got[1])) > 1e-3


def test_a_passage_has_no_first_token(checkpoints):
    student = student_of("prettr", checkpoints["bert"])
    sizes = student.passage_sizes(ids(student, "cat dog", ""))
    np.testing.assert_array_equal(sizes, [3, 1])


def test_a_split_outside_the_backbone(checkpoints):
    with pytest.raises(BadSettings, match="split: the backbone has 2 layers, so that at most 1 "):
        student_of("prettr", checkpoints["bert"], split=2)
    with pytest.raises(BadSettings, match="and the backbone is a ModernBertModel: choose another"):
        student_of("prettr", checkpoints["modernbert"])


def test_a_pair_beyond_the_positions(tmp_path):
    folder = write_checkpoint("bert", tmp_path / "bert")
    student_of("prettr", folder, query_length=20, passage_length=41)
    with pytest.raises(BadSettings, match="passage_length: the backbone reads 64 tokens at most"):
        student_of("prettr", folder, query_length=20, passage_length=42)
