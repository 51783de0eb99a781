"""TK: kernels over the cosines of contextual word vectors (arXiv 2002.01854).

The only student of arXiv 2010.02666 without BERT. A word's vector is a mix of its own and what a
small transformer makes of the text. Cosines of all words of a query with all of a passage are
counted by eleven soft bins. A linear map of these counts is the score.
"""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from redistil.errors import BadSettings, BadSource
from redistil.learning.batches import Rows
from redistil.learning.optimise import Group
from redistil.learning.students.apart import Apart, by_query, in_float32
from redistil.learning.students.checkpoints import load_tokenizer, usable
from redistil.learning.students.encoded import SETTINGS, WEIGHTS
from redistil.learning.students.interface import Kept
from redistil.learning.students.others import write
from redistil.learning.students.states import States
from redistil.learning.students.texts import TextTemplate
from redistil.storage.aside import files_aside
from redistil.storage.ragged import Tokens
from redistil.study import architectures

VECTORS = "word_embeddings.weight"
MEANS = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9)
DEVIATION = 0.1
LEAST = 1e-10  # of a count, before its logarithm
SPREAD = 0.014  # of the first weights of the linear maps
SCALE = 0.01  # of counts in `ecai`, at first


class Tk(Apart):
    """A kernel student on word vectors."""

    def __init__(self, vectors: Tensor, tokenizer: Any, settings: Any) -> None:
        super().__init__()
        count, width = vectors.shape
        if width % settings.heads:
            raise BadSettings(
                f"heads: word vectors of {width} numbers cannot be shared by {settings.heads} heads"
            )
        self.settings, self.tokenizer = settings, tokenizer
        self.word_embeddings = nn.Embedding(count, width)
        self.word_embeddings.weight.data = vectors
        self.network = _transformer(width, settings)
        self.mix = nn.Parameter(torch.tensor(0.5))
        self.kernels = KERNELS[settings.variant]()
        self.kept = Kept("token", width, search=False)
        pad = tokenizer.pad_token_id
        self.queries = TextTemplate((), (), pad, settings.query_length)
        self.passages = TextTemplate((), (), pad, settings.passage_length)

    @property
    def width(self) -> int:
        """How many numbers the state of a token has."""
        return self.word_embeddings.embedding_dim

    # --- files ------------------------------------------------------------------------------------

    @classmethod
    def new(cls, backbone: Path, settings: Mapping[str, Any], seed: int) -> Self:
        """Return a student on the word vectors in `backbone`, the rest drawn from `seed`."""
        vectors = _vectors(backbone)
        torch.manual_seed(seed)
        return cls(vectors, load_tokenizer(backbone), architectures.architecture_of(settings))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the trained student that `save` wrote."""
        with usable(folder):
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return cls.adopt(folder, settings | {"architecture": "tk"})

    @classmethod
    def adopt(cls, checkpoint: Path, settings: Mapping[str, Any]) -> Self:
        """Return the student that others trained with this project."""
        own = architectures.architecture_of(settings)
        student = cls(_vectors(checkpoint), load_tokenizer(checkpoint), own)
        weights = load_file(checkpoint / WEIGHTS)
        wanted = student.state_dict()
        if {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in wanted.items()}:
            raise BadSource(
                f"{checkpoint} is a checkpoint of another architecture: its weights are not those "
                f"of a TK of variant {own['variant']} with {own['layers']} layers: say its settings"
            )
        student.load_state_dict(weights)
        return student

    def save(self, folder: Path) -> None:
        """Write weights, settings and tokenizer into `folder`."""
        weights = {}
        for name, weight in self.state_dict().items():
            weights[name] = weight.detach().cpu().clone()
        with files_aside(folder) as partial:
            self.tokenizer.save_pretrained(partial)
            save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
            write(partial / "config.json", {"model_type": "redistil-tk", "width": self.width})
            write(partial / SETTINGS, self.settings.stated())

    # --- training and scoring ---------------------------------------------------------------------

    def groups(self) -> list[Group]:
        """Return word vectors, kernels and the rest, each with a rate of its own."""
        vectors, kernels = [*self.word_embeddings.parameters()], [*self.kernels.parameters()]
        rest = [*self.network.parameters(), self.mix]
        return [
            Group(rest, 1.0),
            Group(kernels, self.settings.kernel_rate),
            Group(vectors, self.settings.embedding_rate),
        ]

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, with weights below the kernels in `precision`."""
        snapshot = copy.deepcopy(self).eval()
        if precision == "bfloat16":
            snapshot.word_embeddings.to(torch.bfloat16)
            snapshot.network.to(torch.bfloat16)
        return snapshot

    def query_sizes(self, texts: Sequence[Tokens]) -> Rows:
        """Return how many words of each query are read."""
        return self.queries.sizes(texts)

    def passage_sizes(self, texts: Sequence[Tokens]) -> Rows:
        """Return how many words of each passage are read."""
        return self.passages.sizes(texts)

    def encode_queries(self, texts: Sequence[Tokens]) -> States:
        """Return the contextual vector of every word of queries, of length 1."""
        return self._encode(self.queries, texts, 0)

    def encode_passages(self, texts: Sequence[Tokens]) -> States:
        """Return the contextual vector of every word of passages, of length 1."""
        return self._encode(self.passages, texts, self.settings.passage_start)

    def _encode(self, template: TextTemplate, texts: Sequence[Tokens], start: int) -> States:
        sizes = template.sizes(texts)
        some = [text for text in texts if len(text)]  # attention over no word is no number
        if not some:
            return States(self.mix.new_zeros(0, self.width), np.zeros(len(texts) + 1, np.int64))
        inputs = template.inputs(some, self.device)
        words = self.word_embeddings(inputs.ids)
        places = positions(start, *words.shape[1:]).to(words)
        hidden = ~inputs.mask.bool()
        context = self.network(words + places, src_key_padding_mask=hidden)
        mixed = self.mix * words + (1 - self.mix) * context
        states = States.of_grid(mixed, inputs.sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        return States(nn.functional.normalize(states.values.float(), dim=-1), offsets)

    def interact(self, queries: States, passages: States, query: Rows, passage: Rows) -> Tensor:
        """Return the scores of pairs: kernels over the cosines of their words."""
        scores = torch.empty(len(query), device=queries.values.device)
        with in_float32(queries.values):
            for text, places in by_query(query):
                shown = passages.at(passage[places])
                cosines = shown.values @ queries.rows_of(text).T
                outputs = self.kernels(counts(cosines, shown.offsets), shown.sizes)
                scores = scores.index_copy(0, torch.from_numpy(places).to(outputs.device), outputs)
        return scores


def counts(cosines: Tensor, offsets: Rows) -> Tensor:
    """Return how many words of T passages are in each soft bin, for M query words: [T, M, bins].

    cosines: [words of all passages, M]; offsets: [T + 1], as of States.
    """
    bounds = torch.from_numpy(offsets).to(cosines.device)
    bins = []
    for mean in MEANS:
        near = torch.exp(-(cosines - mean).square() / (2 * DEVIATION**2))
        bins.append(torch.segment_reduce(near, "sum", offsets=bounds, axis=0))
    return torch.stack(bins, -1)


class LogCounts(nn.Module):
    """The score of `v2`: a linear map of the logarithms of weighed counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weighed = nn.Parameter(torch.ones(len(MEANS)))
        self.score = _map(len(MEANS))

    def forward(self, soft_counts: Tensor, sizes: Rows) -> Tensor:
        """Return the scores [T] of counts [T, M, bins] in passages of `sizes` words."""
        logs = (soft_counts * self.weighed).clamp(min=LEAST).log().sum(1)
        scores: Tensor = self.score(logs).squeeze(-1)
        return scores


class LogAndMeanCounts(nn.Module):
    """The score of `ecai`: maps of the counts' logarithms and of their means, and one of both."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.of_logs, self.of_means = _map(len(MEANS)), _map(len(MEANS))
        self.score = _map(2)

    def forward(self, soft_counts: Tensor, sizes: Rows) -> Tensor:
        """Return the scores [T] of counts [T, M, bins] in passages of `sizes` words."""
        words = torch.from_numpy(sizes).to(soft_counts)[:, None, None]
        logs = (self.scale * soft_counts.clamp(min=LEAST).log2()).sum(1)
        means = (self.scale * soft_counts / (words + 1)).sum(1)
        both = torch.cat([self.of_logs(logs), self.of_means(means)], -1)
        scores: Tensor = self.score(both).squeeze(-1)
        return scores


KERNELS: dict[str, type[nn.Module]] = {"v2": LogCounts, "ecai": LogAndMeanCounts}


def _map(inputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, 1, bias=False)
    nn.init.uniform_(linear.weight, -SPREAD, SPREAD)
    return linear


def positions(start: int, count: int, width: int) -> Tensor:
    """Return sinusoids [count, width] of positions from `start` on: sines, then cosines.

    Their scales go from 1 to 10,000 in equal ratios, as tensor2tensor lays them out.
    """
    scales = width // 2
    step = math.log(1e4) / max(scales - 1, 1)
    frequencies = torch.exp(-step * torch.arange(scales))
    angles = torch.arange(start, start + count)[:, None] * frequencies
    sinusoids = torch.cat([angles.sin(), angles.cos()], 1)
    return nn.functional.pad(sinusoids, (0, width % 2))


def _transformer(width: int, settings: Any) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, settings.heads, settings.feed_forward, dropout=0.0, batch_first=True
    )
    return nn.TransformerEncoder(layer, settings.layers, enable_nested_tensor=False)


def _vectors(folder: Path) -> Tensor:
    """Return the word vectors of a folder; refuse a backbone of another kind."""
    path = folder / WEIGHTS
    if not path.exists():
        raise BadSource(f"{folder} has no {WEIGHTS}: make it again")
    with usable(folder), safe_open(path, framework="pt") as file:
        if VECTORS not in file.keys():  # noqa: SIM118 - not a mapping
            raise BadSource(
                f"{folder} has no word vectors ({VECTORS}), which tk reads: name a backbone with "
                "`words`"
            )
        vectors: Tensor = file.get_tensor(VECTORS)
        return vectors.float().clone()
