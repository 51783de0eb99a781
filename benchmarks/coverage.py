"""Whether the report's intervals and tests keep their promises, on runs whose truth is known.

`python benchmarks/coverage.py` prints how often the 95 % intervals hold the truth, ours beside the
plain two-level bootstrap (queries and seeds both drawn again with replacement), and how often each
test errs. A value is a query's difficulty (Beta(0.5, 0.7): most queries near 0 or 1, as nDCG@10
has them) + what the seed is worth + the seed's luck with the query. The same draws serve both.
"""

import click
import numpy as np
from tqdm import tqdm

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics

TRUTH = 0.5 / 1.2  # mean of Beta(0.5, 0.7)
LEVEL, ALPHA, MARGIN = 0.95, 0.05, 0.05
SPREADS = {"none": 0.0, "small": 0.005, "middle": 0.02, "large": 0.1}  # of what a seed is worth
LUCK = 0.15  # standard deviation of a seed's luck with a query


def runs(seeds: int, queries: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Return values [seeds, queries] whose expectation is TRUTH."""
    worth = rng.normal(0, spread, (seeds, 1)) if seeds > 1 else 0.0
    luck = rng.normal(0, LUCK, (seeds, queries))
    return rng.beta(0.5, 0.7, queries) + worth + luck


def intervals(values: np.ndarray, rounds: int, rng: np.random.Generator) -> list[tuple]:
    """Return our interval, and that of the plain two-level bootstrap."""
    of = statistics.uncertainty([[values]])
    means = statistics.resample_queries([values], rounds, rng)
    samples = statistics.resample_seeds(means, of, rng)
    ours = statistics.interval(samples, float(values.mean()), of, LEVEL, (-9, 9))
    drawn = rng.integers(0, len(values), means.shape)
    plain = np.take_along_axis(means, drawn, axis=0).mean(axis=0)
    return [ours, tuple(np.quantile(plain, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))]


def covered(seeds: int, queries: int, spread: float, trials: int, rounds: int) -> str:
    """Return a row: coverage and mean width of both intervals."""
    found = []
    for trial in range(trials):
        rng = generator(trial, "coverage", seeds, queries, str(spread))
        both = intervals(runs(seeds, queries, spread, rng), rounds, rng)
        found.append([(low <= TRUTH <= high, high - low) for low, high in both])
    (ours, wide), (plain, narrow) = np.mean(found, axis=0)
    return f"{ours:9.1%} {plain:9.1%} {wide:9.3f} {narrow:9.3f}"


def errors(seeds: int, queries: int, spread: float, trials: int) -> str:
    """Return a row: how often a test finds a difference, or equivalence, that is not there.

    Two systems that are equal, or `MARGIN` apart, in expectation over queries and seeds.
    """
    wrong = np.zeros(3)
    for trial in range(trials):
        rng = generator(trial, "errors", seeds, queries, str(spread))
        lead = rng.normal(0, 0.2, queries) + rng.normal(0, LUCK * 2**0.5, (seeds, queries))
        if seeds > 1:
            lead = lead + rng.normal(0, spread * 2**0.5, (seeds, 1))
        of, mean = statistics.uncertainty([[lead]]), float(lead.mean())
        p = [statistics.paired_t([lead.mean(axis=0)]).p, of.p(mean)]
        p.append(statistics.equivalence(mean + MARGIN, of, MARGIN))
        wrong += np.array(p) < ALPHA
    return " ".join(f"{share:9.1%}" for share in wrong / trials)


@click.command()
@click.option("--trials", default=1000, show_default=True, help="Simulated studies of each kind.")
@click.option("--rounds", default=300, show_default=True, help="Rounds of each bootstrap.")
def main(trials: int, rounds: int) -> None:
    """Measure coverage and errors on synthetic runs."""
    kinds = [(s, q, word) for s in (1, 2, 3, 5) for q in (50, 300) for word in SPREADS]
    kinds = [kind for kind in kinds if kind[0] > 1 or kind[2] == "none"]
    error = np.sqrt(LEVEL * (1 - LEVEL) / trials)
    click.echo(
        f"{trials} trials a row: a promise that is kept shows {LEVEL:.0%} +- {2 * error:.1%}"
    )
    click.echo(f"{'':22} {'coverage of 95 %':>19} {'mean width':>19}  {'errors of 5 %':>19}")
    head = ["ours", "plain", "ours", "plain", "t", "t seeds", "TOST"]
    click.echo(f"seeds queries spread   {' '.join(f'{word:>9}' for word in head)}")
    for seeds, queries, word in tqdm(kinds, unit="kind"):
        spread = SPREADS[word]
        row = covered(seeds, queries, spread, trials, rounds)
        row += " " + errors(seeds, queries, spread, trials)
        tqdm.write(f"{seeds:5} {queries:7} {word:8} {row}")


if __name__ == "__main__":
    main()
