"""Students on a BERT-like encoder with a linear map, or nothing, on top: their files and copies."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from redistil.errors import BadSettings, BadSource
from redistil.learning.batches import Rows
from redistil.learning.speed import packed, shortcuts
from redistil.learning.students import probe, published
from redistil.learning.students.apart import Apart
from redistil.learning.students.checkpoints import load_encoder, reach, usable
from redistil.learning.students.others import write
from redistil.learning.students.texts import TextTemplate
from redistil.storage.aside import files_aside
from redistil.study import architectures
from redistil.study.architectures import Architecture

SETTINGS = "architecture.json"
WEIGHTS = "model.safetensors"
HEAD = "head."  # before the names of the map's weights


class Parts(NamedTuple):
    """Parts of a student, before it is put together."""

    network: Any
    tokenizer: Any


class Encoded(Apart):
    """A student on an encoder. A subclass says how it reads texts and what its scores are.

    `head` is the linear map on top of the encoder, None where there is none. The model's folder
    has encoder and map in one file: `transformers.AutoModel` reads the former.
    reads_batch: its scores depend on the batch by design.
    """

    declared: ClassVar[type[Architecture]]
    called: ClassVar[str]  # what a message calls the map
    longest: ClassVar[str] = "passage_length"  # the setting of the longest text
    reads_batch = False

    def __init__(self, parts: Parts, head: nn.Linear | None, settings: Any) -> None:
        super().__init__()
        self.network, self.tokenizer = parts
        self.head = head
        self.settings = settings
        self.lay_out()
        longest = reach(self.network)
        if longest is not None and self.reads() > longest:
            raise BadSettings(
                f"{self.longest}: the backbone reads {longest} tokens at most, and a text of "
                f"{settings[self.longest]} needs {self.reads()}"
            )

    def lay_out(self) -> None:
        """Set how the student writes its texts."""
        self.queries, self.passages = self.templates()

    @classmethod
    def head_on(cls, network: Any, settings: Any) -> nn.Linear | None:
        """Return a new linear map for an encoder."""
        return None

    def templates(self) -> tuple[TextTemplate, TextTemplate]:
        """Return how queries and passages are written."""
        raise NotImplementedError

    def reads(self) -> int:
        """Return how many positions the longest text needs."""
        return max(self.queries.longest, self.passages.longest)

    # --- files ------------------------------------------------------------------------------------

    @classmethod
    def new(cls, backbone: Path, settings: Mapping[str, Any], seed: int) -> Self:
        """Return a student on the checkpoint in `backbone`, its map drawn from `seed`."""
        parts = Parts(*load_encoder(backbone))
        own = cls.own(settings)
        torch.manual_seed(seed)
        return cls._probed(parts, cls.head_on(parts.network, own), own, backbone)

    @classmethod
    def own(cls, settings: Mapping[str, Any]) -> Any:
        """Return the settings of the architecture, out of those of a recipe or a teacher."""
        return architectures.own_settings(cls.declared, settings)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the trained student that `save` wrote."""
        with usable(folder):
            own = cls.own(json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
        return cls._read(folder, own)

    @classmethod
    def adopt(cls, checkpoint: Path, settings: Mapping[str, Any]) -> Self:
        """Return the student that others trained, in our files or those of arXiv 2010.02666.

        Raises BadSource where the checkpoint has not the map of this architecture.
        """
        return cls._read(checkpoint, cls.own(settings))

    @classmethod
    def _read(cls, folder: Path, own: Any) -> Self:
        parts = Parts(*load_encoder(folder, key_mapping=published.ENCODERS))
        head = cls.head_on(parts.network, own)
        if head is not None:
            _fill(head, published.head(folder, HEAD), folder, cls.called)
        elif maps := published.maps(folder, HEAD):
            raise _another(folder, f"{cls.called} on the encoder", ", ".join(maps))
        return cls._probed(parts, head, own, folder)

    @classmethod
    def _probed(cls, parts: Parts, head: nn.Linear | None, own: Any, folder: Path) -> Self:
        """Return a student whose scores do not depend on the batch; BadSource if they do."""
        student = cls(_ready(parts), head, own)
        if not student.reads_batch:
            probe.check(student, folder)
        return student

    def save(self, folder: Path) -> None:
        """Write weights, configuration, tokenizer and settings into `folder`."""
        self.tokenizer.model_max_length = self.reads()
        self.tokenizer.padding_side = "right"  # as the student learned, whatever its backbone says
        with files_aside(folder) as partial:
            self.network.save_pretrained(partial)
            self.tokenizer.save_pretrained(partial)
            weights = load_file(partial / WEIGHTS)
            if self.head is not None:
                for name, weight in self.head.state_dict().items():
                    weights[HEAD + name] = weight.detach().cpu().clone()
            save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
            write(partial / SETTINGS, self.settings.stated())
            self.describe(partial)

    def describe(self, folder: Path) -> None:
        """Write what other libraries want to know, where one can load the student."""

    # --- scoring ----------------------------------------------------------------------------------

    def query_sizes(self, texts: Any) -> Rows:
        """Return how many tokens of each query are read."""
        return self.queries.sizes(texts)

    def passage_sizes(self, texts: Any) -> Rows:
        """Return how many tokens of each passage are read."""
        return self.passages.sizes(texts)

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, faster, with weights in `precision`."""
        network = self.network
        if precision == "bfloat16":
            network = copy.deepcopy(network).to(torch.bfloat16)
        network = shortcuts.for_scoring(network, precision)
        return type(self)(Parts(network, self.tokenizer), self.head, self.settings).eval()

    def last_states(self, inputs: Any) -> Tensor:
        """Return the encoder's last states [T, L, width] of a batch of texts."""
        states: Tensor = self.network(
            input_ids=inputs.ids, attention_mask=inputs.mask
        ).last_hidden_state
        return states


def _ready(parts: Parts) -> Parts:
    """Return an encoder that packs its batches while it trains, if it is a known one."""
    packed.while_training(parts.network)
    return parts


def _fill(head: nn.Linear, weights: Mapping[str, Tensor], folder: Path, called: str) -> None:
    """Put weights into a linear map; refuse those of another one."""
    wanted = {name: tuple(weight.shape) for name, weight in head.state_dict().items()}
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if wanted != shapes:
        raise _another(folder, f"{called} of shapes {wanted}", str(shapes or "none"))
    head.load_state_dict(dict(weights))


def _another(folder: Path, wanted: str, content: str) -> BadSource:
    return BadSource(
        f"{folder} is a checkpoint of another architecture: wanted {wanted}, found {content}: name "
        "the architecture that it was trained with"
    )
