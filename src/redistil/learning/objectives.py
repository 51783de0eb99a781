"""Ranking objectives: pure functions from scores to one number.

Shapes: B queries in a batch, D candidates per query (padded).
Each objective takes

- `scores` [B, D], the student's logits, of any float type; gradients flow back to them;
- `targets` [B, D], constants: relevance grades (above 0 is positive) or raw teacher scores (higher
  is better), as `redistil.study.objectives` declares for each;
- `mask` [B, D] bool, True where a candidate exists; what lies elsewhere, NaN included, is
  never looked at;

and returns a float32 scalar. It computes in float32 even under autocast: a rank among 100 is a
sum of 99 terms, too fine for the 8 bits of bfloat16. A batch with nothing to compare gives 0 and
a zero gradient. Pairs never cross queries, and "mean over pairs" is one mean over the pairs of
the whole batch. So a list with more pairs weighs more. A list of one has no pair: objectives over
pairs pass over it. ranknet also passes over pairs that the targets tie; hinge over
two positives or two negatives; infonce over a query without a positive. infonce, kl and adr_mse
count a list of one in their mean, with the 0 that it costs; bce and pointwise_mse, which compare
nothing, read it like any other. Options have no defaults here: their values live in params.yaml.
Shapes that differ, and options out of range, raise ValueError.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Objective = Callable[..., Tensor]
"""`(scores, targets, mask, *, options) -> loss`, as the head of this file says."""


# Objectives that read labels


def bce(scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of each candidate against its label, mean over candidates.

    Every (query, passage) pair weighs the same, with no weight for the rarer class. So a triple is
    the 1:1 mean over 2B pairs of arXiv:2603.03010 and a list of 1 + 7 is 1:7.
    """
    scores, targets = _real(scores, targets, mask)
    return _mean(F.softplus(torch.where(targets > 0, -scores, scores)), mask)


def hinge(scores: Tensor, targets: Tensor, mask: Tensor, *, margin: float) -> Tensor:
    """How far each positive falls short of `margin` above each negative, mean over such pairs.

    `margin` is in units of the student's logits, > 0; arXiv:2603.03010 takes 1 on triples.
    Two positives of different grade are not compared.
    """
    _check_positive("margin", margin)
    scores, targets = _real(scores, targets, mask)
    positive = targets > 0
    opposed = positive[:, :, None] & ~positive[:, None, :]
    return _mean(F.relu(margin - _margins(scores)), _pairs(mask) & opposed)


def infonce(scores: Tensor, targets: Tensor, mask: Tensor, *, temperature: float) -> Tensor:
    """-log of the softmax probability that falls on the positives, mean over queries with one.

    `temperature` divides the scores, > 0; 1 in arXiv:2603.03010 and in Rank-DistiLLM
    (arXiv:2405.07920), where it is called localized contrastive estimation.

    The probabilities of several positives are summed, as experimaestro-ir does: it is the
    likelihood of "the passage drawn is relevant". It is smallest when all positives are above
    all negatives, however they share the mass. Lightning-ir counts the first positive only,
    which depends on the order of the list; a mean of log-probabilities punishes a positive for
    the success of another. With one positive, all that a training step has, the three agree.
    Queries without a positive contribute nothing, to the divisor neither.
    """
    _check_positive("temperature", temperature)
    scores, targets = _real(scores, targets, mask)
    positive = mask & (targets > 0)
    everything = _only(scores / temperature, mask).logsumexp(-1)
    relevant = _only(scores / temperature, positive).logsumexp(-1)
    return _mean(everything - relevant, positive.any(-1))


# Objectives that read the order of the targets, or their values


def ranknet(scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of every pair against its order in the targets, mean over pairs.

    The mean of softplus(-(s_i - s_j)) where t_i > t_j strictly; ties in the targets give no
    pair. On triples with grades it is RankNet (Burges et al. 2005). On lists with teacher scores
    or ranks it is the DistillRankNET of arXiv:2405.07920, section 3. Papers write a sum; the mean,
    as in lightning-ir, only divides by the number of pairs. Natural logarithm, whereas the
    RankNetLoss of sentence-transformers counts in bits.
    """
    scores, targets = _real(scores, targets, mask)
    return _mean(F.softplus(-_margins(scores)), _pairs(mask) & (_margins(targets) > 0))


def weighted_ranknet(
    scores: Tensor, targets: Tensor, mask: Tensor, *, weight: Literal["signed", "absolute"]
) -> Tensor:
    """RankNet of the positive over each other candidate, weighted by the teacher's margin.

    The positive is candidate 0 of each list, as in a triple; to this objective alone
    a place in the list means something. The teacher may rank the two the other way.
    Mean over pairs of w softplus(-(s_0 - s_j)), not divided by the sum of weights. `weight` is
    "signed", w = t_0 - t_j, as matchmaker computes arXiv:2010.02666: a pair the teacher inverts
    then pulls the positive *down*, without a lower bound; or "absolute", w = |t_0 - t_j|, which
    trusts the label for the direction. The paper does not settle which. w is in raw teacher
    logits, so a teacher of larger scale is a larger learning rate.
    Departure: the original knows triples; in a longer list candidate 0 meets each of the others.
    """
    if weight not in ("signed", "absolute"):
        raise ValueError(f"weight must be 'signed' or 'absolute', got {weight!r}")
    scores, targets = _real(scores, targets, mask)
    weights = targets[:, :1] - targets[:, 1:]
    if weight == "absolute":
        weights = weights.abs()
    penalties = F.softplus(-(scores[:, :1] - scores[:, 1:]))
    return _mean(weights * penalties, mask[:, :1] & mask[:, 1:])


def margin_mse(scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of student and teacher margins, mean over unordered pairs.

    Margins are signed and unscaled; a constant added to either side of a list changes nothing.
    arXiv:2010.02666 compares one positive with one negative; this takes every pair of a list,
    the same thing for D = 2. Departures for longer lists: sentence-transformers compares the
    first candidate with the others, lightning-ir leaves out the pairs that the teacher ties.
    """
    scores, targets = _real(scores, targets, mask)
    # Both orders of a pair have the same square, so their mean is that of the unordered pairs.
    return _mean((_margins(scores) - _margins(targets)).square(), _pairs(mask))


def pointwise_mse(scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of student and teacher score, mean over candidates.

    On triples this is half the sum of the positives' mean and the negatives' mean: matchmaker's
    halving of arXiv:2010.02666, not confirmed for the paper, comes out by itself.
    """
    scores, targets = _real(scores, targets, mask)
    return _mean((scores - targets).square(), mask)


def kl(scores: Tensor, targets: Tensor, mask: Tensor, *, temperature: float) -> Tensor:
    """KL(teacher || student) of the softmaxes over each list, mean over queries, in nats.

    `temperature` divides the logits of both, > 0; above 1 both distributions flatten. Needs
    real teacher scores: ranks would fix an arbitrary distribution. Lightning-ir's KLDivergence
    at 1. Departure from Hinton et al. 2015: the loss is not multiplied by temperature squared.
    Queries without a candidate do not count in the mean.
    """
    _check_positive("temperature", temperature)
    scores, targets = _real(scores, targets, mask)
    log_p = _log_softmax(targets / temperature, mask)
    log_q = _log_softmax(scores / temperature, mask)
    return _mean((log_p.exp() * (log_p - log_q)).sum(-1), mask.any(-1))


def adr_mse(scores: Tensor, targets: Tensor, mask: Tensor, *, temperature: float) -> Tensor:
    """Squared error of soft ranks, discounted by 1 / log2(rank + 1), mean over candidates.

    The student's soft rank is 1 + sum over j of sigmoid((s_j - s_i) / temperature), in the
    student's logits, > 0; 1 in arXiv:2405.07920 and 2603.03010. The mean divides by the number
    of candidates in the batch, not by the sum of discounts. Lightning-ir's default has no
    discount, which is another objective.

    Departure: where the originals sort, and so break the teacher's ties by accident, tied
    candidates share the mean of their ranks. That is the soft rank of the teacher as temperature
    tends to 0, the only target a student with the same ties can meet. It is blind to the order of
    the list. Sentence-transformers' ADRMSELoss does the same.
    """
    _check_positive("temperature", temperature)
    scores, targets = _real(scores, targets, mask)
    pairs = _pairs(mask)
    above = torch.sigmoid(-_margins(scores) / temperature)
    above_by_teacher = (1 - _margins(targets).sign()) / 2  # 1 above, 0 below, a half for a tie
    rank = 1 + torch.where(pairs, above, 0.0).sum(-1)
    teacher_rank = 1 + torch.where(pairs, above_by_teacher, 0.0).sum(-1)
    return _mean((rank - teacher_rank).square() / torch.log2(teacher_rank + 1), mask)


OBJECTIVES: dict[str, Objective] = {
    "bce": bce,
    "hinge": hinge,
    "infonce": infonce,
    "margin-mse": margin_mse,
    "ranknet": ranknet,
    "adr-mse": adr_mse,
    "weighted-ranknet": weighted_ranknet,
    "pointwise-mse": pointwise_mse,
    "kl": kl,
}


def _real(scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`scores` and `targets` in float32, 0 where there is no candidate; targets detached.

    Padding is replaced before any arithmetic: a NaN that meets a zero later is a NaN still.
    `torch.where` would keep it out of the loss but not out of the gradient.
    """
    if scores.dim() != 2 or not scores.shape == targets.shape == mask.shape:
        raise ValueError(
            "scores, targets and mask must share one shape [B, D], got"
            f" {list(scores.shape)}, {list(targets.shape)} and {list(mask.shape)}"
        )
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, got {mask.dtype}")
    return torch.where(mask, scores.float(), 0.0), torch.where(mask, targets.detach().float(), 0.0)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value}")


def _margins(scores: Tensor) -> Tensor:
    """[B, D, D], the margin s_i - s_j at [:, i, j]."""
    return scores[:, :, None] - scores[:, None, :]


def _pairs(mask: Tensor) -> Tensor:
    """[B, D, D] bool, True for two different candidates of one list, in both orders."""
    itself = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return mask[:, :, None] & mask[:, None, :] & ~itself


def _only(scores: Tensor, mask: Tensor) -> Tensor:
    """`scores` with the rest so low that a softmax gives it exactly nothing.

    The lowest float and not -inf: a whole row of those is a NaN in the backward pass. Later steps
    drop it, but autograd's anomaly detection stops at it.
    """
    return torch.where(mask, scores, torch.finfo(scores.dtype).min)


def _log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities over the candidates of each list, 0 where there is none."""
    return torch.where(mask, F.log_softmax(_only(scores, mask), dim=-1), 0.0)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the values to count; 0, with a zero gradient, when there are none.

    A masked sum and not `values[where].mean()`, which waits for the GPU to learn its size.
    """
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)
