"""Fixtures of several modules: five checkpoints, and libraries that keep quiet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# torch gives some warnings once a process: which test meets one must not depend on their order
torch.set_warn_always(True)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each family; to be read, or copied."""
    from tests.made.checkpoints import FAMILIES, write_checkpoint

    root = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(family, root / family) for family in FAMILIES}


@pytest.fixture(scope="module")
def quiet() -> Iterator[None]:
    """Keep transformers from talking, and torch to one thread: more are slower on so little."""
    import torch
    import transformers

    before, threads = transformers.logging.get_verbosity(), torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.set_verbosity(before)
    torch.set_num_threads(threads)
