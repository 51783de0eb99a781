"""How torch behaves in a job: few threads, no network, no chatter, the same bytes every time."""

import os


def quiet(threads: int) -> None:
    """Set torch and transformers up for one job; call it before they are imported.

    torch.use_deterministic_algorithms is left alone: it costs a job two seconds of imports. On
    a fixed number of CPU threads every operation used here gives the same bytes without it.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
