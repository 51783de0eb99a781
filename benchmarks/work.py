"""The work that everyone is given: random checkpoints of real sizes, pairs and training examples.

Nothing is downloaded. The text is that of installed packages' docstrings, the word pieces are
learnt from it, and the lengths follow MS MARCO: log-normal passages, about 120 tokens a pair with
special tokens, never over the caps, so that nobody has to cut. A seed and the counts decide all.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from snakemake.utils import update_config
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from redistil.learning import students
from redistil.seeds import generator
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.stages.corpora import pydocs
from redistil.stages.tokens import tokenize
from redistil.storage.lineage import SIDECAR, Made
from redistil.storage.ragged import Ragged
from redistil.storage.tables import LISTS, PASSAGES, QUERIES, TEACHER_SCORES, TRIPLES
from redistil.study import artefacts as study

ROOT = Path(__file__).parents[1]
SEED = 1
VOCABULARY = 30522  # tokens; bert-base-uncased's, so that the embeddings weigh what they do there
SIZES = {  # layers, width, heads, and width inside the feed-forward
    "tiny": (2, 128, 2, 512),  # to try the benchmark itself; its numbers say nothing
    "minilm-l6": (6, 384, 12, 1536),
    "bert-base": (12, 768, 12, 3072),
}
LENGTHS = {"query_length": 32, "passage_length": 256, "pair_length": 288}  # tokens, morand2026
QUERY = (2.1, 0.35)  # log-normal mean and spread of query tokens: about 9
PASSAGE = (4.555, 0.5)  # of passage tokens: about 108
DOCUMENTS = 8  # of a list
PACKAGES = ("numpy", "scipy", "torch")
ABOUT = Made("file", "benchmark")


@dataclass(frozen=True)
class Work:
    """Where the work lies; every contestant reads the same files.

    backbone: what a training starts from; model: the student with the same weights, for re-ranking.
    """

    folder: Path
    size: str

    @property
    def backbone(self) -> Path:
        return self.folder / "backbone"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def texts(self) -> Path:
        """JSON: `queries`, `passages` (texts by id), `pairs`, `triples` and `lists` of ids."""
        return self.folder / "work.json"


def prepare(
    out: Path, size: str, pairs: int, triples: int, lists: int, dropout: float = 0.1
) -> Work:
    """Make the work under `out`, or find it there from an earlier run that asked for the same.

    Without dropout, the losses of two contestants can be compared.
    """
    work = Work(out / f"{size}-{pairs}-{triples}-{lists}-{dropout:g}", size)
    if (work.folder / "complete").exists():
        return work
    shutil.rmtree(work.folder, ignore_errors=True)
    tokenizer = _tokenizer(out)
    _checkpoints(work, tokenizer, dropout)
    examples = _examples(_Words(tokenizer), pairs, triples, lists)
    work.texts.write_text(json.dumps(examples))
    _tables(work, examples)
    (work.folder / "complete").touch()
    return work


def _tokenizer(out: Path) -> Any:
    """Return word pieces learnt from the docstrings, once for all sizes."""
    folder = out / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        texts = [f"{pair.query} {pair.passage}" for pair in pydocs.pairs(PACKAGES)]
        vocabulary("bert", texts, VOCABULARY).save_pretrained(folder)
        (folder / "texts.json").write_text(json.dumps(texts))
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _checkpoints(work: Work, tokenizer: Any, dropout: float) -> None:
    layers, width, heads, inner = SIZES[work.size]
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        initializer_range=0.05,  # so large that the tokens of a pair move its score
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(work.backbone)
    tokenizer.save_pretrained(work.backbone)
    (work.backbone / SIDECAR).write_text(Made("fetch", "bench").dumps())
    recipes = _recipes(work.size)
    (work.folder / "recipes.json").write_text(json.dumps(recipes))
    settings = recipes["infonce"] | {"backbone": "bench"}
    work.model.mkdir()
    students.adopt(settings, work.backbone).save(work.model)
    (work.model / SIDECAR).write_text(Made("train", "bench", settings).dumps())


def _recipes(size: str) -> dict[str, dict[str, Any]]:
    """Return the recipes of morand2026 for a backbone of this size, by loss."""
    with (ROOT / "params.yaml").open() as base, (ROOT / "studies/morand2026.yaml").open() as over:
        config = yaml.safe_load(base) | {"study": "morand2026"}
        update_config(config, yaml.safe_load(over))
    resolved = study.resolve(config)
    student = "bert-base" if size == "bert-base" else "minilm-l12"
    return {
        loss: study.recipe(resolved, study.Cell(student, loss, SEED)).stated()
        for loss in ("margin-mse", "infonce")
    }


class _Words:
    """Texts of a wanted number of tokens: words in the order in which some docstring has them."""

    def __init__(self, tokenizer: Any) -> None:
        texts = json.loads((Path(tokenizer.name_or_path) / "texts.json").read_text())
        self.words = re.findall(r"[a-z]+", " ".join(texts).lower())
        each = sorted(set(self.words))
        pieces = tokenizer(each, add_special_tokens=False)["input_ids"]
        count = {word: len(ids) for word, ids in zip(each, pieces, strict=True)}
        self.ends = np.cumsum([count[word] for word in self.words])

    def text(self, tokens: int, rng: np.random.Generator) -> str:
        """Return a text of at most `tokens` tokens, and of as many if words allow it."""
        start = int(rng.integers(len(self.words) - tokens))
        before = self.ends[start - 1] if start else 0
        end = int(np.searchsorted(self.ends, before + tokens, side="right"))
        return " ".join(self.words[start : max(end, start + 1)])


def _examples(words: _Words, pairs: int, triples: int, lists: int) -> dict[str, Any]:
    rng = generator(SEED, "benchmark")
    counts = {"pairs": (pairs, 1), "triples": (triples, 2), "lists": (lists, DOCUMENTS)}
    queries: dict[str, str] = {}
    passages: dict[str, str] = {}
    examples: dict[str, list[list[str]]] = {}
    for kind, (count, documents) in counts.items():
        examples[kind] = []
        for _ in range(count):
            query = int(np.clip(rng.lognormal(*QUERY), 2, LENGTHS["query_length"]))
            row = [f"q{len(queries)}"]
            queries[row[0]] = words.text(query, rng)
            for _ in range(documents):
                room = min(LENGTHS["passage_length"], LENGTHS["pair_length"] - query - 3)
                row.append(f"d{len(passages)}")
                passage = int(np.clip(rng.lognormal(*PASSAGE), 8, room))
                passages[row[-1]] = words.text(passage, rng)
            examples[kind].append(row)
    teacher = rng.normal(0, 5, (triples, 2)).round(4).tolist()
    return {"queries": queries, "passages": passages, "teacher": teacher, **examples}


def _tables(work: Work, examples: dict[str, Any]) -> None:
    """Write what our own training and re-ranking read: token files, triples, lists, scores."""
    for table, side in ((QUERIES, "queries"), (PASSAGES, "passages")):
        texts = work.folder / f"{side}.parquet"
        rows = sorted(examples[side].items())
        columns = dict(zip(table.schema.names, zip(*rows, strict=True), strict=True))
        table.write(table.rows(columns), texts, ABOUT)
        longest = LENGTHS["passage_length"]
        tokenize(work.backbone, table, texts, work.folder / f"{side}.arrow", ABOUT, longest)
    made = Made("mine", "bench")
    rows = sorted(examples["triples"])
    columns = dict(zip(TRIPLES.schema.names, zip(*rows, strict=True), strict=True))
    TRIPLES.write(TRIPLES.rows(columns), work.folder / "triples.parquet", made)
    rows = sorted(examples["lists"])
    LISTS.write(
        LISTS.rows(
            {
                "query_id": [row[0] for row in rows],
                "doc_ids": [row[1:] for row in rows],
                "relevances": [[1] + [0] * (len(row) - 2) for row in rows],
            }
        ),
        work.folder / "lists.parquet",
        made,
    )
    scored = sorted(
        (row[0], doc, score)
        for row, scores in zip(examples["triples"], examples["teacher"], strict=True)
        for doc, score in zip(row[1:], scores, strict=True)
    )
    columns = dict(zip(TEACHER_SCORES.schema.names, zip(*scored, strict=True), strict=True))
    TEACHER_SCORES.write(
        TEACHER_SCORES.rows(columns), work.folder / "teacher.parquet", Made("score", "bench")
    )


def flops(work: Work, examples: str) -> float:
    """Return the floating-point operations of scoring a pair of `examples`, on average.

    Those of matrix products, of the real tokens alone: 2 for each weight of a layer's linear maps
    and token, and 4 x tokens x width for attention. The head and the embeddings are left out.
    """
    layers, width, _, inner = SIZES[work.size]
    content = json.loads(work.texts.read_text())
    queries, passages = (Ragged(work.folder / f"{side}.arrow") for side in ("queries", "passages"))
    pairs = [(row[0], doc) for row in content[examples] for doc in row[1:]]
    lengths = (
        queries.lengths()[queries.rows(pa.array([q for q, _ in pairs]))]
        + passages.lengths()[passages.rows(pa.array([p for _, p in pairs]))]
        + 3
    )
    linear = 2 * layers * (4 * width**2 + 2 * width * inner)
    return float(np.mean(lengths * linear + 4 * layers * width * lengths.astype(float) ** 2))
