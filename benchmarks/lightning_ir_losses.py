"""Write lightning-ir's losses to a file: test_lightning_ir.py holds ours to them.

It pins other versions than we do, so it lives in an environment of its own:

    python -m venv lightning-ir && lightning-ir/bin/pip install lightning-ir==0.0.6
    lightning-ir/bin/python benchmarks/lightning_ir_losses.py tests/unit/learning/lightning_ir.json
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from lightning_ir.loss import ApproxRankMSE, InfoNCE, KLDivergence, RankNet, SupervisedMarginMSE

LOSSES = {
    "ranknet": RankNet(),
    "ranknet, temperature 2": RankNet(temperature=2),
    "margin-mse": SupervisedMarginMSE(),
    "infonce": InfoNCE(),
    "kl": KLDivergence(),
    "adr-mse": ApproxRankMSE(discount="log2"),
    "adr-mse, temperature 0.5": ApproxRankMSE(temperature=0.5, discount="log2"),
    "rank-mse": ApproxRankMSE(),
}


def targets_of(kind: str, stream: torch.Generator) -> torch.Tensor:
    """Three lists of five: teacher scores, teacher scores with ties, one positive, several."""
    if kind == "scores":
        return torch.randn(3, 5, generator=stream)
    if kind == "tied scores":
        return torch.tensor([[2.0, 1, 1, 0, -1], [0, 0, 0, 3, 3], [1, 1, 1, 1, 1]])
    positives = [[2], [0], [4]] if kind == "one positive" else [[1, 2], [0], [0, 3, 4]]
    return torch.stack([torch.zeros(5).index_fill(0, torch.tensor(p), 1.0) for p in positives])


def main() -> None:
    """Write the file that the command line names."""
    cases = []
    for kind in ("scores", "tied scores", "one positive", "several positives"):
        stream = torch.Generator().manual_seed(7)
        scores, targets = torch.randn(3, 5, generator=stream) * 2, targets_of(kind, stream)
        for name, loss in LOSSES.items():
            leaf = scores.clone().requires_grad_()
            value = loss.compute_loss(
                SimpleNamespace(scores=leaf), SimpleNamespace(targets=targets)
            )
            value.backward()
            cases.append(
                {
                    "loss": name,
                    "targets are": kind,
                    "scores": scores.tolist(),
                    "targets": targets.tolist(),
                    "value": value.item(),
                    "gradient": leaf.grad.tolist(),
                }
            )
    lines = ",\n".join(json.dumps(case) for case in cases)
    made = f'{{"lightning-ir": "{version("lightning-ir")}", "cases": [\n{lines}\n]}}\n'
    Path(sys.argv[1]).write_text(made)


if __name__ == "__main__":
    main()
