"""Rankings by a large language model, one listwise answer at a time, as lists and scores."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
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
from redistil.storage import digests
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

    def __call__(self, requests: list[tuple[str, list[str]]]) -> list[str]:
        """Return the greedy answer to each (query, passages); all are generated together."""
        longest = 1 + max(len(self._ids(answer(len(passages)))) for _, passages in requests)
        prompts = []
        for query, passages in requests:
            prompts.append(self.prompt(query, passages, longest))
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        ids, mask = _left_padded(prompts, pad or 0)
        with torch.inference_mode():
            out = self.network.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=longest,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=pad or 0,
            )
        texts = []
        for row in out[:, ids.shape[1] :]:
            texts.append(self.tokenizer.decode(row, skip_special_tokens=True))
        return texts

    def prompt(self, query: str, passages: list[str], answer_tokens: int) -> list[int]:
        """Return token ids; passages are cut until the context holds them and the answer."""
        words = self.words
        while True:
            ids = self._ids(self._chat(request(query, passages, words)))
            ids = ids if ids[:1] == self.start else self.start + ids
            over = len(ids) + answer_tokens - self.context
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
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        text: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return text


def _left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return token ids that end in the same column, and the mask of those that are not padding."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


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

    Candidates 1 to `depth` of each query go through windows, from the last to the first. At most
    so many queries are ranked (chosen by a hash of their id), `together` at a time. A passage
    scores the number of passages from it to the end of its list. A job that was killed goes on
    where it stopped.
    """
    scores, lists, counts = out
    tasks = _tasks(candidates, queries, passages, depth, at_most, leave_out)
    shards, number, tally = Shards(LISTS, lists, made), 0, Answers()
    with tqdm(total=len(tasks), unit="query", mininterval=2) as bar:
        remaining = iter(tasks.items())
        while some := dict(islice(remaining, together)):
            record = shards.path(number).with_suffix(".json")
            if not (shards.has(number) and digests.is_whole(record)):
                answers = _slide(model, list(some.values()), window, stride)
                digests.write_json(asdict(answers), record)
                LISTS.write(_lists(some), shards.path(number), made)
            tally.add(Answers(**digests.read_json(record)))
            bar.update(len(some))
            number += 1
    with aside(scores) as first, aside(lists) as second, aside(counts) as third:
        _join(shards, number, first, second, made)
        digests.put_json(asdict(tally), third)
    shutil.rmtree(shards.folder, ignore_errors=True)
    return tally


def _join(shards: Shards, count: int, scores: Path, lists: Path, made: Made) -> None:
    with (
        TEACHER_SCORES.writer(scores, made) as write_scores,
        LISTS.writer(lists, made) as write_lists,
        in_row_groups(TEACHER_SCORES, write_scores) as add_scores,
        in_row_groups(LISTS, write_lists) as add_lists,
    ):
        for number in range(count):
            rows = LISTS.read(shards.path(number))
            add_lists(rows)
            add_scores(_scores(rows))


def _slide(model: Asking, tasks: Sequence[Task], window: int, stride: int) -> Answers:
    """Rank the passages of each task in place; the model gets all windows of a step together."""
    tally = Answers()
    steps = [windows(len(task.doc_ids), window, stride) for task in tasks]
    while True:
        due, requests = [], []
        for task, places in zip(tasks, steps, strict=True):
            place = next(places, None)
            if place is not None:
                due.append((task, *place))
                requests.append((task.query, task.passages(*place)))
        if not due:
            return tally
        for (task, start, end), text in zip(due, model(requests), strict=True):
            task.settle(start, end, permutation(text, end - start, tally))


def _tasks(
    candidates: Path,
    queries: Path,
    passages: Path,
    depth: int,
    at_most: int | None,
    leave_out: Collection[str],
) -> dict[str, Task]:
    """Return the queries to be ranked, in their order; only the texts that they need are held."""
    query_texts = texts(queries, QUERIES)
    chosen = set(sorted(query_texts.keys() - set(leave_out), key=fraction)[:at_most])
    pools: dict[str, list[str]] = {}
    for query_id, doc_ids in by_query(candidates):
        if query_id in chosen:
            pools[query_id] = doc_ids[:depth]
    if not pools:
        raise BadTable(
            f"{candidates} has no candidates for the queries of {queries}: are both of one dataset?"
        )
    needed = set(chain.from_iterable(pools.values()))
    passage_texts = _passages(passages, needed)
    missing = needed - passage_texts.keys()
    if missing:
        raise BadTable(
            f"{len(missing)} candidates of {candidates} are not in {passages} (first: "
            f"{min(missing)!r}): are both of one corpus?"
        )
    tasks = {}
    for query_id, doc_ids in pools.items():
        tasks[query_id] = Task(query_texts[query_id], doc_ids, passage_texts)
    return tasks


def _passages(path: Path, doc_ids: Collection[str]) -> dict[str, str]:
    """Return the texts of these passages; those that are not there are left out."""
    needed = pa.array(sorted(doc_ids), pa.string())
    texts_by_id: dict[str, str] = {}
    for batch in PASSAGES.batches(path):
        rows = batch.filter(pc.is_in(batch["doc_id"], needed))
        texts_by_id.update(zip(rows["doc_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    return texts_by_id


def _lists(ranked: Mapping[str, Task]) -> pa.Table:
    doc_ids = [task.doc_ids for task in ranked.values()]
    grades = [[0] * len(each) for each in doc_ids]
    return LISTS.rows({"query_id": list(ranked), "doc_ids": doc_ids, "relevances": grades})


def _scores(lists: pa.Table) -> pa.Table:
    scores: list[float] = []
    for size in pc.list_value_length(lists["doc_ids"]).to_pylist():
        scores.extend(range(size, 0, -1))
    rows = TEACHER_SCORES.rows(
        {
            "query_id": lists["query_id"].take(pc.list_parent_indices(lists["doc_ids"])),
            "doc_id": pc.list_flatten(lists["doc_ids"]),
            "score": scores,
        }
    )
    return rows.sort_by([("query_id", "ascending"), ("doc_id", "ascending")])
