"""Standard deviations as printed, beside an aggregate over several datasets.

The notebook of arXiv 2603.03010 prints beside an aggregate the root of the mean of its datasets'
variances over seeds. That is no standard deviation of the aggregate: if the datasets vary apart,
it is too wide by the square root of their number.
"""

from collections.abc import Sequence
from math import sqrt


def deviation(printed: float | None, datasets: int) -> float | None:
    """Return the standard deviation over seeds of a published value, where what is printed tells.

    printed: the root of the mean over `datasets` of their variances. It tells of a single dataset.
    Of several it gives no interval, since how they vary together is not printed: None.
    """
    return printed if datasets == 1 else None


def bounds(printed: float, datasets: int) -> tuple[float, float]:
    """Return the least and the largest that the aggregate's standard deviation can be.

    Where the datasets vary apart it is the least, and where all vary as one the largest. Datasets
    that vary against each other are left out: a good training is good on most of them.
    """
    return printed / sqrt(datasets), printed


def deviation_of_mean(deviations: Sequence[float], correlation: float) -> float:
    """Return the standard deviation over seeds of the unweighted mean over datasets.

    deviations: of each dataset. correlation: of every two of them over seeds; 0 where they vary
    apart, 1 where they vary as one. Raises ValueError outside of [0, 1] or without a dataset.
    """
    if not deviations or not 0 <= correlation <= 1:
        raise ValueError(
            "wanted the standard deviation of each dataset and a correlation in [0, 1], got "
            f"{len(deviations)} datasets and {correlation}"
        )
    alone = sum(value**2 for value in deviations)
    crossed = sum(deviations) ** 2 - alone
    return sqrt(alone + correlation * crossed) / len(deviations)
