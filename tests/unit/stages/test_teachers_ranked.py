"""Rankings by a language model: what is asked, what answers mean, and how windows slide."""

import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM

from redistil.cli import cli
from redistil.errors import BadSettings, BadTable, UserError
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.stages.teachers import ranked as stage
from redistil.stages.teachers.listwise import Answers, permutation, request, windows
from redistil.storage import digests
from redistil.storage.tables import LISTS, PASSAGES, QUERIES, RUN, TEACHER_SCORES, ranked
from tests.made import tiny

MADE = tiny.MADE

# --- answers --------------------------------------------------------------------------------------

ANSWERS = {
    # answer: (order of four passages, what was wrong with it)
    "[2] > [1] > [4] > [3]": ([1, 0, 3, 2], set()),
    " [2] > [1] > [4] > [3]\n": ([1, 0, 3, 2], set()),
    "[2]>[1]>[4]>[3]": ([1, 0, 3, 2], {"malformed"}),
    "2, 1, 4, 3": ([1, 0, 3, 2], {"malformed"}),
    "[3] > [3] > [1] > [4]": ([2, 0, 3, 1], {"repeated", "incomplete"}),
    "[3] > [1] > [2] > [4] > [3]": ([2, 0, 1, 3], {"repeated"}),
    "[4] > [9] > [0] > [2] > [1] > [3]": ([3, 1, 0, 2], {"unknown"}),
    "[4]": ([3, 0, 1, 2], {"incomplete"}),
    "[4] > [2": ([3, 1, 0, 2], {"malformed", "incomplete"}),
    "": ([0, 1, 2, 3], {"malformed", "incomplete"}),
    "I cannot rank these.": ([0, 1, 2, 3], {"malformed", "incomplete"}),
    "The best is [3]: it answers.": ([2, 0, 1, 3], {"malformed", "incomplete"}),
    "[12345678901234567890] > [1]": ([0, 1, 2, 3], {"unknown", "incomplete"}),
}


@pytest.mark.parametrize(("text", "order", "wrong"), [(k, *v) for k, v in ANSWERS.items()])
def test_an_answer_is_read_repaired_and_what_was_wrong_counted(text, order, wrong):
    seen = Answers()
    assert permutation(text, 4, seen) == order
    counted = {"malformed", "repeated", "unknown", "incomplete"}
    assert {name for name in counted if getattr(seen, name)} == wrong
    assert seen.answers == 1
    assert bool([*seen.said()]) == bool(wrong), "nothing is told of answers that were right"


@given(st.text(alphabet="[]> 0123456789x", max_size=40), st.integers(1, 9))
def test_whatever_is_answered_the_result_is_a_permutation(text, count):
    assert sorted(permutation(text, count, Answers())) == list(range(count))


@given(st.permutations(range(9)))
def test_a_well_formed_answer_is_taken_at_its_word(order):
    seen = Answers()
    said = " > ".join(f"[{place + 1}]" for place in order)
    assert permutation(said, 9, seen) == list(order)
    assert seen == Answers(answers=1)


# --- requests -------------------------------------------------------------------------------------


def test_a_request_is_rankzephyrs():
    """castorini/rank_llm's template of RankZephyr, spelled out."""
    assert request(" what is it ", ["first [2] passage", "second one"], 2) == (
        "I will provide you with 2 passages, each indicated by a numerical identifier []. Rank the "
        "passages based on their relevance to the search query: what is it.\n\n"
        "[1] first (2)\n[2] second one\n"
        "Search Query: what is it.\nRank the 2 passages above based on their relevance to the "
        "search query. All the passages should be included and listed using identifiers, in "
        "descending order of relevance. The output format should be [] > [], e.g., [2] > [1], "
        "Answer concisely and directly and only respond with the ranking results, do not say any "
        "word or explain."
    )


def test_braces_in_a_query_are_only_text():
    assert "query: {count} {0}." in request("{count} {0}", ["a", "b"], 9)


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (100, [(start, start + 20) for start in range(80, -1, -10)]),
        (25, [(5, 25), (0, 15)]),
        (20, [(0, 20)]),
        (7, [(0, 7)]),
        (1, [(0, 1)]),
    ],
)
def test_windows_of_20_move_up_by_10(count, wanted):
    assert list(windows(count, 20, 10)) == wanted


@given(st.integers(1, 60), st.integers(2, 20), st.integers(1, 20))
def test_windows_reach_every_passage_and_overlap(count, window, stride):
    stride = min(stride, window)
    found = list(windows(count, window, stride))
    assert found[0][1] == count and found[-1][0] == 0
    assert {place for start, end in found for place in range(start, end)} == set(range(count))
    assert all(end - start <= window for start, end in found)


# --- a ranking ------------------------------------------------------------------------------------


@pytest.fixture
def collection(tmp_path):
    """Three queries; the text of passage d<n> is its worth, n."""
    queries = {f"q{i}": f"query {i}" for i in range(3)}
    passages = {f"d{i}": str(i) for i in range(40)}
    for table, rows in ((QUERIES, queries), (PASSAGES, passages)):
        columns = dict(zip(table.schema.names, (list(rows), list(rows.values())), strict=True))
        table.write(table.rows(columns), tmp_path / f"{table.name}.parquet", MADE)
    pairs = [(q, d, -float((7 * i + 3 * j) % 41)) for j, q in enumerate(queries)
             for i, d in enumerate(passages) if i < 40 - 15 * j]  # fmt: skip
    RUN.write(ranked(*map(list, zip(*pairs, strict=True))), tmp_path / "run.parquet", MADE)
    return tmp_path


class Oracle:
    """Answers by the worth of the passages; counts what it is asked, and may give up."""

    def __init__(self, gives_up_after=10**9):
        self.asked, self.gives_up_after = [], gives_up_after

    def __call__(self, asked):
        if len(self.asked) >= self.gives_up_after:
            raise KeyboardInterrupt
        self.asked.append(asked)
        orders = [sorted(range(len(p)), key=lambda i, p=p: -int(p[i])) for _, p in asked]
        return [" > ".join(f"[{place + 1}]" for place in order) for order in orders]


def rank(folder, model, **how):
    out = tuple(folder / name for name in ("scores.parquet", "lists.parquet", "answers.json"))
    files = (folder / f"{name}.parquet" for name in ("run", "queries", "passages"))
    how = {"depth": 30, "window": 10, "stride": 5, "together": 2} | how
    return out, stage.rank(model, *files, out, MADE, **how)


def test_sliding_windows_bring_the_best_up_and_keep_the_depth(collection):
    (scores, lists, counts), seen = rank(collection, Oracle())
    run = RUN.read(collection / "run.parquet").to_pylist()
    for row in LISTS.read(lists).to_pylist():
        near = [r["doc_id"] for r in run if r["query_id"] == row["query_id"] and r["rank"] <= 30]
        assert sorted(row["doc_ids"]) == sorted(near)
        best = sorted(near, key=lambda d: -int(d[1:]))
        # each window hands its best half on to the next: the first five are the true ones
        assert row["doc_ids"][:5] == best[:5] and row["doc_ids"] != near
        assert row["relevances"] == [0] * len(near)
    found = TEACHER_SCORES.read(scores).to_pylist()
    first = next(row for row in LISTS.read(lists).to_pylist() if row["query_id"] == "q2")
    by_score = sorted((r for r in found if r["query_id"] == "q2"), key=lambda r: -r["score"])
    assert [r["doc_id"] for r in by_score] == first["doc_ids"]
    assert [r["score"] for r in by_score] == list(range(len(by_score), 0, -1))
    TEACHER_SCORES.check(TEACHER_SCORES.read(scores), "scores")
    assert digests.read_json(counts) == {"answers": seen.answers} | dict.fromkeys(
        ["malformed", "repeated", "unknown", "incomplete"], 0
    )
    assert seen.answers == 5 + 4 + 1, "windows over 30, 25 and 10 passages"


def test_one_window_over_all_is_one_sort(collection):
    (_, lists, _), _ = rank(collection, Oracle(), window=40, stride=40)
    for row in LISTS.read(lists).to_pylist():
        assert row["doc_ids"] == sorted(row["doc_ids"], key=lambda d: -int(d[1:]))


@pytest.mark.parametrize("after", range(8))
def test_a_killed_job_goes_on_where_it_was_and_ends_in_the_same_bytes(collection, after):
    out, seen = rank(collection, Oracle(), together=1)
    whole = [path.read_bytes() for path in out]
    for path in out:
        path.unlink()
    killed = Oracle(gives_up_after=after)
    with pytest.raises(KeyboardInterrupt):
        rank(collection, killed, together=1)
    assert not any(path.exists() for path in out)
    again = Oracle()
    out, counted = rank(collection, again, together=1)
    assert [path.read_bytes() for path in out] == whole and counted == seen
    done = 5 * (after >= 5)  # the first query has five windows
    assert len(again.asked) == seen.answers - done, "what was finished is not asked again"
    assert not (collection / ".lists.parquet.shards").exists()


def test_how_many_queries_go_together_changes_nothing_for_a_model_that_does_not_care(collection):
    alone, _ = rank(collection, Oracle(), together=1)
    bytes_alone = [path.read_bytes() for path in alone]
    together, _ = rank(collection, Oracle(), together=3)
    assert [path.read_bytes() for path in together] == bytes_alone


def test_queries_left_out_and_at_most_so_many(collection):
    (_, lists, _), _ = rank(collection, Oracle(), at_most=1, leave_out={"q1"})
    (query_id,) = LISTS.read(lists)["query_id"].to_pylist()
    assert query_id in {"q0", "q2"}


def test_candidates_that_are_no_passages_are_refused(collection):
    texts = PASSAGES.read(collection / "passages.parquet").slice(1)
    PASSAGES.write(texts, collection / "passages.parquet", MADE)
    with pytest.raises(BadTable, match="1 candidates of .* are not in .* .first: 'd0'"):
        rank(collection, Oracle())


# --- a model --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A random causal language model and a tokenizer without a chat template."""
    folder = tmp_path_factory.mktemp("causal") / "llm"
    tokenizer = vocabulary("modernbert", tiny.WORDS * 3, 300)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=2048,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tiny.record(folder, "fetch", "llm")
    return folder


def model(checkpoint, context=1800, words=20):
    where = torch.device("cpu")
    return stage.Model(checkpoint, context=context, words=words, precision="float32", device=where)


def test_answers_do_not_depend_on_what_else_is_asked(checkpoint):
    """Requests are padded on the left."""
    found = model(checkpoint)
    asked = [("alpha beta", ["gamma", "delta " * 9]), ("rank", ["a", "b", "c"])]
    together = found(asked)
    assert together[0].startswith(found(asked[:1])[0]) and together[1] == found(asked[1:])[0]
    assert all(together)


def test_passages_are_cut_until_the_answer_has_room(checkpoint):
    found = model(checkpoint)
    passages = ["alpha beta gamma delta " * 5] * 4
    room = 40
    whole = len(found.prompt("rank", passages, room))
    found.context = whole + room - 30
    assert len(found.prompt("rank", passages, room)) <= whole - 30
    assert found.tokenizer.decode(found.prompt("rank", passages, room)).count("alpha") > 4
    found.context = 200
    with pytest.raises(BadSettings, match="200 tokens do not hold the request for 4 passages"):
        found.prompt("rank", passages, room)


def test_a_tokenizers_own_template_is_used(checkpoint):
    found = model(checkpoint)
    assert found.tokenizer.decode(found.prompt("q", ["a"], 9)).startswith("<|system|>")
    found.tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"
        "{% if add_generation_prompt %}answer:{% endif %}"
    )
    said = found.tokenizer.decode(found.prompt("q", ["a"], 9))
    assert said.startswith("system=You are RankLLM") and said.endswith("explain.;answer:")


@pytest.fixture(scope="module")
def begun(checkpoint):
    """The same with a tokenizer that puts <s> before a text, as Llama's and RankZephyr's do."""
    folder = checkpoint.with_name("begun")
    shutil.copytree(checkpoint, folder)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    begin = TemplateProcessing("<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = begin
    tokenizer.save_pretrained(folder)
    tiny.record(folder, "build", "begun")
    return folder


@pytest.mark.parametrize("template", [None, "", "<s>"])
def test_a_prompt_begins_once_as_the_tokenizer_begins_a_text(checkpoint, begun, template):
    plain, found = model(checkpoint), model(begun)
    for each in (plain, found) if template is not None else ():
        each.tokenizer.chat_template = template + "{{ messages[-1].content }}"
    ids, start = found.prompt("q", ["a"], 9), found.tokenizer.bos_token_id
    assert ids[0] == start and ids.count(start) == 1
    if template != "<s>":
        assert plain.prompt("q", ["a"], 9) == ids[1:], "a tokenizer that adds none gets none"
    found.context = len(ids) + 8
    assert len(found.prompt("q", ["a"], 9)) < len(ids), "the room it takes is counted"


def test_a_model_that_ranks_computes_in_the_precision_asked_for(checkpoint):
    for precision, wanted in (("tf32", "tf32"), ("float32", "ieee")):
        how = {"precision": precision, "device": torch.device("cpu")}
        stage.Model(checkpoint, context=1800, words=9, **how)
        assert torch.backends.cuda.matmul.fp32_precision == wanted


def test_a_context_beyond_the_models_is_refused(checkpoint):
    with pytest.raises(BadSettings, match="reads at most 2048 tokens, not 4096"):
        model(checkpoint, context=4096)


def test_the_command_ranks_with_a_checkpoint_and_counts_aloud(collection, checkpoint, caplog):
    names = ("run", "queries", "passages", "scores", "lists")
    words = ["rank", str(checkpoint / "made.json")]
    words += [str(collection / f"{name}.parquet") for name in names]
    words += [str(collection / "answers.json"), *"--depth 6 --window 4 --stride 2".split()]
    words += "--passage-words 9 --context 1800 --together 2 --precision float32".split()
    words += "--device cpu".split()
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "6 answers, repaired: 6 malformed" in caplog.text
    counts = json.loads((collection / "answers.json").read_text())
    assert counts["answers"] == counts["malformed"] == 6, "random weights say nothing"
    found = LISTS.read(collection / "lists.parquet").to_pylist()
    run = RUN.read(collection / "run.parquet").to_pylist()
    for row in found:
        near = {r["doc_id"] for r in run if r["query_id"] == row["query_id"] and r["rank"] <= 6}
        assert set(row["doc_ids"]) == near
    words[words.index("--stride") + 1] = "5"
    refused = CliRunner().invoke(cli, words)
    assert isinstance(refused.exception, UserError) and "would pass over" in str(refused.exception)
