"""Rankings by a large language model, one listwise answer at a time, as lists and scores."""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from redistil.errors import BadSettings, BadTable
from redistil.seeds import fraction
from redistil.stages.teachers.listwise import (
    SYSTEM,
    Answers,
    Task,
    answer,
    permutation,
    request,
    windows,
)
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_row_groups
from redistil.storage.pools import by_query
from redistil.storage.shards import Shards
from redistil.storage.tables import LISTS, PASSAGES, QUERIES, TEACHER_SCORES, aside, texts

# RankZephyr's own, for tokenizers that bring no template
TEMPLATE = "<|system|>\n{system}</s>\n<|user|>\n{user}</s>\n<|assistant|>\n"

Asking = Callable[[list[tuple[str, list[str]]]], list[str]]  # (query, passages) -> answers


class Model:
    """A causal language model from a checkpoint folder that answers requests to rank."""

    def __init__(
        self, folder: Path, *, context: int, words: int, precision: str, device: torch.device
    ) -> None:
        from transformers import AutoModelForCausalLM

        from redistil.learning.students.checkpoints import load_network, load_tokenizer
        from redistil.machine.processes import allow_tf32

        allow_tf32(precision)
        self.context, self.words, self.device = context, words, device
        self.tokenizer = load_tokenizer(folder)
        bos = self.tokenizer.bos_token_id
        # RankLLM gives its prompt as text to vLLM, which puts a Llama tokenizer's <s> before it
        self.start = [bos] if bos in self.tokenizer("")["input_ids"][:1] else []
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.network = load_network(AutoModelForCausalLM, folder).to(kind).to(device).eval()
        longest = getattr(self.network.config, "max_position_embeddings", context)
        if context > longest:
            raise BadSettings(f"context: {folder} reads at most {longest} tokens, not {context}")

    def __call__(self, asked: list[tuple[str, list[str]]]) -> list[str]:
        """Return the greedy answer to each (query, passages); all are generated together."""
        room = max(len(self._ids(answer(len(passages)))) for _, passages in asked) + 1
        prompts = [self.prompt(query, passages, room) for query, passages in asked]
        width = max(map(len, prompts))
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        ids = torch.tensor([[pad or 0] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        with torch.inference_mode():
            out = self.network.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=room,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=pad or 0,
            )
        return [self.tokenizer.decode(row, skip_special_tokens=True) for row in out[:, width:]]

    def prompt(self, query: str, passages: list[str], room: int) -> list[int]:
        """Return token ids that leave `room` in the context: passages are cut until they do."""
        words = self.words
        while True:
            ids = self._ids(self._chat(request(query, passages, words)))
            ids = ids if ids[:1] == self.start else self.start + ids
            over = len(ids) + room - self.context
            if over <= 0:
                return ids
            if words == 0:
                raise BadSettings(
                    f"context: {self.context} tokens do not hold the request for {len(passages)} "
                    "passages, even without their texts: take a smaller window"
                )
            words = max(words - max(over // (4 * len(passages)), 1), 0)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _chat(self, user: str) -> str:
        if self.tokenizer.chat_template is None:
            return TEMPLATE.format(system=SYSTEM, user=user)
        said = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        text: str = self.tokenizer.apply_chat_template(
            said, tokenize=False, add_generation_prompt=True
        )
        return text


def rank(
    model: Asking,
    candidates: Path,
    queries: Path,
    passages: Path,
    out: tuple[Path, Path, Path],
    made: Made,
    *,
    depth: int,
    window: int,
    stride: int,
    together: int,
    at_most: int | None = None,
    leave_out: Collection[str] = (),
) -> Answers:
    """Write scores, lists (best first) and a count of repaired answers; return the latter.

    Candidates 1 to `depth` of at most so many queries (chosen by a hash of their id) go through
    windows from the last to the first, `together` queries at a time. A passage scores the number
    of passages from it to the end of its list. What a killed job had finished is not asked again.
    """
    scores, lists, counts = out
    tasks = _tasks(candidates, queries, passages, depth, at_most, leave_out)
    shards, number, seen = Shards(LISTS, lists, made), 0, Answers()
    with tqdm(total=len(tasks), unit="query", mininterval=2) as bar:
        remaining = iter(tasks.items())
        while some := list(islice(remaining, together)):
            said = shards.path(number).with_suffix(".json")
            if not shards.has(number):
                found = _slide(model, [task for _, task in some], window, stride)
                with aside(said) as partial:
                    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
                LISTS.write(_lists(some), shards.path(number), made)
            seen.add(Answers(**json.loads(said.read_text(encoding="utf-8"))))
            bar.update(len(some))
            number += 1
    with aside(scores) as first, aside(lists) as second, aside(counts) as third:
        with (
            TEACHER_SCORES.writer(first, made) as write_scores,
            LISTS.writer(second, made) as write_lists,
            in_row_groups(TEACHER_SCORES, write_scores) as add_scores,
            in_row_groups(LISTS, write_lists) as add_lists,
        ):
            for shard in range(number):
                rows = LISTS.read(shards.path(shard))
                add_lists(rows)
                add_scores(_scores(rows))
        third.write_text(json.dumps(asdict(seen), indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(shards.folder, ignore_errors=True)
    return seen


def _slide(model: Asking, tasks: Sequence[Task], window: int, stride: int) -> Answers:
    """Rank the passages of each task in place; windows at one step are asked for together."""
    seen = Answers()
    steps: list[Iterator[tuple[int, int]]] = [
        windows(len(task.doc_ids), window, stride) for task in tasks
    ]
    while True:
        due = [(task, next(places, None)) for task, places in zip(tasks, steps, strict=True)]
        asked = [(task, place) for task, place in due if place is not None]
        if not asked:
            return seen
        said = model([(task.query, task.passages(*place)) for task, place in asked])
        for (task, (start, end)), text in zip(asked, said, strict=True):
            task.settle(start, end, permutation(text, end - start, seen))


def _tasks(
    candidates: Path,
    queries: Path,
    passages: Path,
    depth: int,
    at_most: int | None,
    leave_out: Collection[str],
) -> dict[str, Task]:
    """Return the queries to be ranked, in their order; only the texts that they need are held."""
    asked = texts(queries, QUERIES)
    chosen = set(sorted(asked.keys() - set(leave_out), key=fraction)[:at_most])
    pools = {q: docs[:depth] for q, docs in by_query(candidates) if q in chosen}
    if not pools:
        raise BadTable(
            f"{candidates} has no candidates for the queries of {queries}: are both of one dataset?"
        )
    needed = pa.array(sorted({doc_id for docs in pools.values() for doc_id in docs}), pa.string())
    found: dict[str, str] = {}
    for batch in PASSAGES.batches(passages):
        rows = batch.filter(pc.is_in(batch["doc_id"], needed))
        found.update(zip(rows["doc_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    if len(found) < len(needed):
        first = next(doc_id for doc_id in needed.to_pylist() if doc_id not in found)
        raise BadTable(
            f"{len(needed) - len(found)} candidates of {candidates} are not in {passages} (first: "
            f"{first!r}): are both of one corpus?"
        )
    return {query_id: Task(asked[query_id], docs, found) for query_id, docs in pools.items()}


def _lists(ranked: Sequence[tuple[str, Task]]) -> pa.Table:
    return LISTS.rows(
        {
            "query_id": [query_id for query_id, _ in ranked],
            "doc_ids": [task.doc_ids for _, task in ranked],
            "relevances": [[0] * len(task.doc_ids) for _, task in ranked],
        }
    )


def _scores(lists: pa.Table) -> pa.Table:
    sizes = pc.list_value_length(lists["doc_ids"]).to_pylist()
    return TEACHER_SCORES.rows(
        {
            "query_id": lists["query_id"].take(pc.list_parent_indices(lists["doc_ids"])),
            "doc_id": pc.list_flatten(lists["doc_ids"]),
            "score": [float(size - place) for size in sizes for place in range(size)],
        }
    ).sort_by([(column, "ascending") for column in ("query_id", "doc_id")])
