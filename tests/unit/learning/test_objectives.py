"""Objectives by hand: published fixtures, a second reading of each formula, and the peers."""

import math
import warnings

import pytest
import torch

from redistil.learning.objectives import (
    OBJECTIVES,
    adr_mse,
    bce,
    hinge,
    infonce,
    kl,
    margin_mse,
    pointwise_mse,
    ranknet,
    weighted_ranknet,
)

NAN = float("nan")


def softplus(x):
    return math.log1p(math.exp(x))


# name, options, scores, targets, value. The values to six places and more are those of
# arXiv:2405.07920 and 2603.03010 as their code computes them; the rest is arithmetic.
FIXTURES = [
    ("bce", {}, (2, 0), (1, 0), 0.4100376),
    ("bce", {}, (2, 0, 0, 0), (1, 0, 0, 0), (softplus(-2) + 3 * math.log(2)) / 4),
    ("hinge", {"margin": 1.0}, (0.5, 0.2), (1, 0), 0.7),
    ("hinge", {"margin": 1.0}, (3, 1), (1, 0), 0.0),
    ("hinge", {"margin": 2.0}, (0.5, 0.2), (1, 0), 1.7),
    ("hinge", {"margin": 1.0}, (1, 0.5, 0, 2), (1, 2, 0, 0), (0 + 2 + 0.5 + 2.5) / 4),
    ("hinge", {"margin": 1.0}, (0.5, 0.2), (1, 1), 0.0),
    ("margin-mse", {}, (3, 1), (10, 5), 9.0),
    ("margin-mse", {}, (3, 1, 0), (10, 5, 5), (9 + 4 + 1) / 3),
    ("margin-mse", {}, (3, 1), (5, 10), 49.0),  # the margin is signed
    ("ranknet", {}, (1, 0), (1, 0), 0.313262),
    ("ranknet", {}, (2, 1, 0), (3, 2, 1), 0.251150),
    ("ranknet", {}, (2, 1, 0), (1, 2, 3), 1.584484),
    ("ranknet", {}, (2, 1, 0), (2, 1, 1), 0.220095),
    ("ranknet", {}, (2, 1, 0), (4, 4, 4), 0.0),
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (1, 0, 0), 0.407606),
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (0, 1, 0), 1.407606),
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (0, 0, 1), 2.407606),
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (1, 1, 0), 0.094344),  # summed probability
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (0, 0, 0), 0.0),
    ("infonce", {"temperature": 1.0}, (2, 1, 0), (1, 1, 1), 0.0),
    ("infonce", {"temperature": 2.0}, (4, 2, 0), (1, 0, 0), 0.407606),  # it divides
    ("adr-mse", {"temperature": 1.0}, (2, 1, 0), (3, 2, 1), 0.0753280),
    ("adr-mse", {"temperature": 1.0}, (2, 1, 0), (1, 2, 3), 1.2990393),
    ("adr-mse", {"temperature": 2.0}, (4, 2, 0), (3, 2, 1), 0.0753280),
    # Soft ranks 1.388144, 2, 2.611856; the tied pair shares rank 2.5.
    (
        "adr-mse",
        {"temperature": 1.0},
        (2, 1, 0),
        (2, 1, 1),
        (0.388144**2 + (0.5**2 + 0.111856**2) / math.log2(3.5)) / 3,
    ),
    ("weighted-ranknet", {"weight": "signed"}, (1, 0), (7, 5), 2 * softplus(-1)),
    ("weighted-ranknet", {"weight": "absolute"}, (1, 0), (7, 5), 2 * softplus(-1)),
    ("weighted-ranknet", {"weight": "signed"}, (1, 0), (5, 7), -2 * softplus(-1)),
    ("weighted-ranknet", {"weight": "absolute"}, (1, 0), (5, 7), 2 * softplus(-1)),
    (
        "weighted-ranknet",
        {"weight": "absolute"},
        (1, 0, 3),
        (5, 7, 4),
        (2 * softplus(-1) + 1 * softplus(2)) / 2,
    ),
    ("pointwise-mse", {}, (3, 1), (10, 5), (49 + 16) / 2),
    # Teacher (3/4, 1/4), student (1/2, 1/2).
    ("kl", {"temperature": 1.0}, (0, 0), (math.log(3), 0), 0.75 * math.log(3) - math.log(2)),
    ("kl", {"temperature": 2.0}, (0, 0), (math.log(9), 0), 0.75 * math.log(3) - math.log(2)),
    # The other way round it is another number: the direction matters.
    ("kl", {"temperature": 1.0}, (math.log(3), 0), (0, 0), math.log(2) - math.log(3) / 2),
    ("kl", {"temperature": 1.0}, (5,), (1,), 0.0),
]

IDS = [f"{name}-{scores}-{targets}" for name, _, scores, targets, _ in FIXTURES]


@pytest.mark.parametrize(("name", "options", "scores", "targets", "value"), FIXTURES, ids=IDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("padding", [0, 3])
def test_the_value_is_the_one_known(name, options, scores, targets, value, dtype, padding):
    row = torch.tensor([[*scores, *[NAN] * padding]])
    targets = torch.tensor([[*targets, *[NAN] * padding]])
    mask = ~row.isnan()
    loss = OBJECTIVES[name](row.to(dtype), targets, mask, **options)
    is_exact = torch.equal(row.to(dtype).float()[mask], row[mask])  # 0.2 and log 3 are not
    assert loss.item() == pytest.approx(value, abs=1e-6 if is_exact else 5e-3)


# A second reading: the formulas once more, as loops over a list of (score, target) per query.


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def ordered_pairs(lists):
    return [(a, b) for one in lists for i, a in enumerate(one) for j, b in enumerate(one) if i != j]


def bce_read(lists):
    return mean(softplus(-s if t > 0 else s) for one in lists for s, t in one)


def hinge_read(lists, margin):
    opposed = [(a, b) for a, b in ordered_pairs(lists) if a[1] > 0 >= b[1]]
    return mean(max(0.0, margin - (a[0] - b[0])) for a, b in opposed)


def infonce_read(lists, temperature):
    def surprise(one):
        mass = [math.exp(s / temperature) for s, _ in one]
        return -math.log(sum(m for m, (_, t) in zip(mass, one, strict=True) if t > 0) / sum(mass))

    return mean(surprise(one) for one in lists if any(t > 0 for _, t in one))


def ranknet_read(lists):
    return mean(softplus(b[0] - a[0]) for a, b in ordered_pairs(lists) if a[1] > b[1])


def weighted_ranknet_read(lists, weight):
    size = abs if weight == "absolute" else float
    pairs = [(one[0], other) for one in lists for other in one[1:]]
    return mean(size(a[1] - b[1]) * softplus(b[0] - a[0]) for a, b in pairs)


def margin_mse_read(lists):
    return mean((a[0] - b[0] - a[1] + b[1]) ** 2 for a, b in ordered_pairs(lists))


def pointwise_mse_read(lists):
    return mean((s - t) ** 2 for one in lists for s, t in one)


def kl_read(lists, temperature):
    def divergence(one):
        q, p = ([math.exp(x / temperature) for x in column] for column in zip(*one, strict=True))
        q, p = [x / sum(q) for x in q], [x / sum(p) for x in p]
        return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))

    return mean(divergence(one) for one in lists if one)


def adr_mse_read(lists, temperature):
    def error(one, i):
        others = one[:i] + one[i + 1 :]
        above = sum(t > one[i][1] for _, t in others)
        tied = sum(t == one[i][1] for _, t in others)
        rank = mean(range(above + 1, above + tied + 2))  # of the places it shares
        soft = 1 + sum(1 / (1 + math.exp((one[i][0] - s) / temperature)) for s, _ in others)
        return (soft - rank) ** 2 / math.log2(rank + 1)

    return mean(error(one, i) for one in lists for i in range(len(one)))


READINGS = [
    ("bce", {}, bce_read),
    ("hinge", {"margin": 1.0}, hinge_read),
    ("hinge", {"margin": 0.25}, hinge_read),
    ("infonce", {"temperature": 1.0}, infonce_read),
    ("infonce", {"temperature": 0.5}, infonce_read),
    ("ranknet", {}, ranknet_read),
    ("weighted-ranknet", {"weight": "signed"}, weighted_ranknet_read),
    ("weighted-ranknet", {"weight": "absolute"}, weighted_ranknet_read),
    ("margin-mse", {}, margin_mse_read),
    ("pointwise-mse", {}, pointwise_mse_read),
    ("kl", {"temperature": 1.0}, kl_read),
    ("kl", {"temperature": 3.0}, kl_read),
    ("adr-mse", {"temperature": 1.0}, adr_mse_read),
    ("adr-mse", {"temperature": 0.5}, adr_mse_read),
]


def ragged(seed):
    """Four lists of 5, 3, 2 and 0 candidates, integer targets with ties; padding is NaN."""
    stream = torch.Generator().manual_seed(seed)
    mask = torch.arange(5)[None] < torch.tensor([5, 3, 2, 0])[:, None]
    scores = torch.randn(4, 5, generator=stream).masked_fill(~mask, NAN)
    targets = torch.randint(-2, 3, (4, 5), generator=stream).float().masked_fill(~mask, NAN)
    return scores, targets, mask


def test_every_objective_is_read_twice():
    assert {name for name, _, _ in READINGS} == OBJECTIVES.keys()


@pytest.mark.parametrize(("name", "options", "reading"), READINGS)
@pytest.mark.parametrize("seed", range(8))
def test_the_value_is_that_of_the_formula_in_loops(name, options, reading, seed):
    scores, targets, mask = ragged(seed)
    rows = zip(scores.tolist(), targets.tolist(), mask.sum(-1).tolist(), strict=True)
    lists = [list(zip(s, t, strict=True))[:n] for s, t, n in rows]
    loss = OBJECTIVES[name](scores, targets, mask, **options)
    assert loss.item() == pytest.approx(reading(lists, **options), rel=1e-5, abs=1e-6)


def test_a_longer_list_weighs_by_its_pairs():
    """One mean over the pairs of the batch: three pairs of 0.251150 and one of 0.313262."""
    scores, targets = torch.tensor([[2.0, 1, 0], [1, 0, NAN]]), torch.tensor([[3, 2, 1], [1, 0, 9]])
    loss = ranknet(scores, targets, ~scores.isnan())
    assert loss.item() == pytest.approx((3 * 0.251150 + 0.313262) / 4, abs=1e-6)


def test_a_query_without_a_positive_does_not_dilute_infonce():
    scores, targets = torch.tensor([[2.0, 1, 0], [5, 1, 0]]), torch.tensor([[1, 0, 0], [0, 0, 0]])
    loss = infonce(scores, targets, torch.ones(2, 3, dtype=torch.bool), temperature=1.0)
    assert loss.item() == pytest.approx(0.407606, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "share"),
    [
        ("ranknet", {}, 1),
        ("hinge", {"margin": 1.0}, 1),
        ("margin-mse", {}, 1),
        ("weighted-ranknet", {"weight": "signed"}, 1),
        ("infonce", {"temperature": 1.0}, 1 / 2),  # of queries
        ("kl", {"temperature": 1.0}, 1 / 2),
        ("adr-mse", {"temperature": 1.0}, 3 / 4),  # of candidates
    ],
)
def test_a_list_of_one_beside_another_counts_where_a_mean_is_not_over_pairs(name, options, share):
    scores, targets = torch.tensor([[1.0, 2, 0], [5, 0, 0]]), torch.tensor([[3, 0, 0], [1, 0, 0]])
    mask = torch.tensor([[True] * 3, [True, False, False]])
    both, alone = (OBJECTIVES[name](scores[:n], targets[:n], mask[:n], **options) for n in (2, 1))
    assert alone > 0.1 and both.item() == pytest.approx(alone.item() * share)


def test_an_unknown_weight_is_refused():
    table = torch.ones(1, 2)
    with pytest.raises(ValueError, match="'square'"):
        weighted_ranknet(table, table, table.bool(), weight="square")


def test_adr_mse_of_a_long_list_needs_more_than_bfloat16():
    """In autocast the ranks of 100 candidates keep their fractions."""
    teacher = torch.arange(100.0, 0, -1)[None]
    mask = torch.ones(1, 100, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = adr_mse(teacher.bfloat16(), teacher, mask, temperature=1.0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        adr_mse_read([[(s, s) for s in teacher[0].tolist()]], temperature=1.0), rel=1e-4
    )


# The peers. Sentence-transformers' losses ask a model for scores; this one has them in a table.


@pytest.fixture(scope="module")
def peers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs at import are not ours to mend
        sentence_transformers = pytest.importorskip("sentence_transformers")
        from sentence_transformers.cross_encoder import losses

    class Table(sentence_transformers.CrossEncoder):
        """A cross-encoder that reads "query 2" and "passage 1" as scores[2, 1]."""

        num_labels = 1
        device = torch.device("cpu")

        def __init__(self, scores):
            torch.nn.Module.__init__(self)
            self.scores = scores

        def preprocess(self, pairs, **_):
            return {"cells": torch.tensor([[int(text.split()[1]) for text in p] for p in pairs])}

        def forward(self, features, **_):
            return {"scores": self.scores[tuple(features["cells"].T)]}

    return losses, Table


def as_lists(targets, mask):
    """A ragged batch as sentence-transformers takes it: queries, their passages, their labels."""
    queries = [f"query {row}" for row in range(len(mask))]
    passages = [[f"passage {column}" for column in range(n)] for n in mask.sum(-1)]
    return [queries, passages], [row[: len(p)] for row, p in zip(targets, passages, strict=True)]


def as_pairs(targets, mask):
    rows, columns = mask.nonzero(as_tuple=True)
    return [[f"query {row}" for row in rows], [f"passage {c}" for c in columns]], targets[mask]


def agree(ours, theirs, scores):
    """The same value, and the same gradient to every score."""
    ours_gradient, theirs_gradient = (
        torch.autograd.grad(loss, scores, retain_graph=True)[0] for loss in (ours, theirs)
    )
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(ours_gradient, theirs_gradient, atol=1e-6, rtol=1e-4)


@pytest.fixture(params=range(3))
def batch(request):
    """Without the empty list, which sentence-transformers does not know."""
    scores, targets, mask = (table[:3] for table in ragged(request.param))
    return scores.requires_grad_(), targets, mask


def test_bce_is_that_of_sentence_transformers(peers, batch):
    losses, table = peers
    scores, targets, mask = batch
    labels = (targets > 0).float()
    theirs = losses.BinaryCrossEntropyLoss(table(scores))(*as_pairs(labels, mask))
    agree(bce(scores, targets, mask), theirs, scores)


def test_pointwise_mse_is_that_of_sentence_transformers(peers, batch):
    losses, table = peers
    scores, targets, mask = batch
    theirs = losses.MSELoss(table(scores))(*as_pairs(targets, mask))
    agree(pointwise_mse(scores, targets, mask), theirs, scores)


def test_margin_mse_on_triples_is_that_of_sentence_transformers(peers, batch):
    losses, table = peers
    scores, targets, mask = batch
    texts = [[f"query {row}" for row in range(3)], ["passage 0"] * 3, ["passage 1"] * 3]
    theirs = losses.MarginMSELoss(table(scores))(texts, targets[:, :2])
    agree(margin_mse(scores[:, :2], targets[:, :2], mask[:, :2]), theirs, scores)


def test_ranknet_is_that_of_sentence_transformers_in_nats(peers, batch):
    losses, table = peers
    scores, targets, mask = batch
    lists = as_lists(targets, mask)
    ours = ranknet(scores, targets, mask)
    agree(ours, losses.RankNetLoss(table(scores), reduction_log="natural")(*lists), scores)
    agree(ours / math.log(2), losses.RankNetLoss(table(scores))(*lists), scores)


def test_adr_mse_is_that_of_sentence_transformers(peers, batch):
    losses, table = peers
    if not hasattr(losses, "ADRMSELoss"):
        pytest.skip("this sentence-transformers has no ADRMSELoss")
    scores, targets, mask = batch
    for temperature in (1.0, 0.5):  # their alpha multiplies
        theirs = losses.ADRMSELoss(table(scores), alpha=1 / temperature)(*as_lists(targets, mask))
        agree(adr_mse(scores, targets, mask, temperature=temperature), theirs, scores)


def test_kl_is_their_listnet_less_the_entropy_of_the_teacher(peers, batch):
    losses, table = peers
    scores, targets, mask = batch
    lists = as_lists(targets, mask)
    cross_entropy = losses.ListNetLoss(table(scores))(*lists)
    entropy = losses.ListNetLoss(table(targets))(*lists)
    agree(kl(scores, targets, mask, temperature=1.0), cross_entropy - entropy, scores)


def test_infonce_with_one_positive_is_torchs_cross_entropy():
    stream = torch.Generator().manual_seed(5)
    scores = torch.randn(4, 8, generator=stream, requires_grad=True)
    positives = torch.tensor([0, 3, 7, 0])
    targets = torch.nn.functional.one_hot(positives, 8)
    ours = infonce(scores, targets, torch.ones(4, 8, dtype=torch.bool), temperature=0.7)
    agree(ours, torch.nn.functional.cross_entropy(scores / 0.7, positives), scores)


def test_hinge_on_triples_is_torchs_margin_ranking_loss():
    stream = torch.Generator().manual_seed(5)
    scores = torch.randn(16, 2, generator=stream, requires_grad=True)
    targets = torch.tensor([[1, 0]]).repeat(16, 1)
    ours = hinge(scores, targets, torch.ones(16, 2, dtype=torch.bool), margin=1.0)
    theirs = torch.nn.functional.margin_ranking_loss(
        scores[:, 0], scores[:, 1], torch.ones(16), margin=1.0
    )
    agree(ours, theirs, scores)


def test_weighted_ranknet_signed_is_a_weighted_bce_of_the_margin():
    """As matchmaker computes it: the teacher's margin as the weight of a cross-entropy."""
    stream = torch.Generator().manual_seed(5)
    scores = torch.randn(16, 2, generator=stream, requires_grad=True)
    targets = torch.randn(16, 2, generator=stream)
    ours = weighted_ranknet(scores, targets, torch.ones(16, 2, dtype=torch.bool), weight="signed")
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        scores[:, 0] - scores[:, 1], torch.ones(16), weight=targets[:, 0] - targets[:, 1]
    )
    agree(ours, theirs, scores)
