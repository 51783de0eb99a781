"""Standard deviations as printed, beside an aggregate over several datasets.

The notebook of arXiv 2603.03010 prints beside an aggregate the root of the mean of its datasets'
variances over seeds. That is no standard deviation of the aggregate: if the datasets vary apart,
it is too wide by the square root of their number.
"""


def deviation(printed: float | None, datasets: int) -> float | None:
    """Return the standard deviation over seeds of a published value, where what is printed tells.

    printed: the root of the mean over `datasets` of their variances. It tells of a single dataset.
    Of several it gives no interval, since how they vary together is not printed: None.
    """
    return printed if datasets == 1 else None
