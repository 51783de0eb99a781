"""Laws of every architecture that encodes query and passage apart, on every family it reads."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from redistil.errors import BadSource
from redistil.learning import batches, scoring, students
from redistil.learning.gradients import Memory, learn
from redistil.learning.pairs import Pairs
from redistil.learning.scoring import encoded, score_pairs
from redistil.machine.processes import Processes
from redistil.storage import lineage, ragged
from redistil.storage.ragged import Ragged
from tests.made.checkpoints import close, write_checkpoint
from tests.made.students import (
    CASES,
    ON_ENCODERS,
    PASSAGE,
    PASSAGES,
    QUERIES,
    QUERY,
    ids,
    pairs_of,
    settings_of,
    student_of,
    write_words,
)

pytestmark = pytest.mark.usefixtures("quiet")
every_case = pytest.mark.parametrize(("architecture", "family"), CASES)
every_one = pytest.mark.parametrize(
    ("architecture", "family"), [*((name, "distilbert") for name in ON_ENCODERS), ("tk", "words")]
)


@pytest.fixture(scope="module")
def grounds(checkpoints, tmp_path_factory):
    """The folders of encoders by family, and one of word vectors."""
    return checkpoints | {"words": write_words(tmp_path_factory.mktemp("tk") / "words")}


def near(got, wanted, part):
    """Hold scores to others, within a part of the largest: float32 has seven digits."""
    scale = max(float(wanted.abs().max()), 1.0)
    torch.testing.assert_close(got, wanted, rtol=0, atol=part * scale)


@torch.no_grad()
def scored(student, pairs):
    return student.scores(pairs)


@every_case
def test_stored_states_give_the_scores(grounds, architecture, family):
    student = student_of(architecture, grounds[family])
    pairs = pairs_of(student)
    wanted = scored(student, pairs)
    assert wanted.std() > 0.01
    with torch.no_grad():
        queries = encoded(student, "query", pairs.queries)
        passages = encoded(student, "passage", pairs.passages)
        got = student.interact(queries, passages, QUERY, PASSAGE)
    near(got, wanted, 1e-6)


@every_one
def test_states_are_as_declared(grounds, architecture, family):
    student = student_of(architecture, grounds[family])
    passages = ids(student, *PASSAGES)
    states = student.encode_passages(passages)
    rows = student.passage_sizes(passages) if student.kept.rows == "token" else np.ones(5)
    assert states.values.shape == (rows.sum(), student.kept.width)
    np.testing.assert_array_equal(states.sizes, rows)


@every_case
def test_pairs_are_scored_alike_alone(grounds, architecture, family):
    student = student_of(architecture, grounds[family])
    pairs = pairs_of(student)
    alone = [scored(student, pairs.at(np.array([place]))) for place in range(len(pairs))]
    near(torch.cat(alone), scored(student, pairs), 1e-5)


@every_one
def test_long_texts_are_cut(grounds, architecture, family):
    student = student_of(architecture, grounds[family])
    query, passage = ids(student, QUERIES[2] + " cat" * 9, PASSAGES[2] + " dog" * 9)
    cut = student.score([query[:8]], [passage[:12]])
    close(student.score([query], [passage]), cut)
    (cost,) = student.costs(Pairs.aligned([query], [passage]))
    assert cost == student.queries.longest + student.passages.longest


@every_one
def test_a_student_is_saved_and_loaded(grounds, architecture, family, tmp_path):
    student = student_of(architecture, grounds[family])
    student.save(tmp_path)
    settings = settings_of(architecture)
    record = lineage.make("train", "m", settings, "", [])
    (tmp_path / lineage.SIDECAR).write_text(record.dumps())
    loaded = students.load(tmp_path).eval()
    pairs = pairs_of(student)
    close(scored(loaded, pairs), scored(student, pairs))
    assert loaded.settings == student.settings
    assert json.loads((tmp_path / "architecture.json").read_text()).keys() >= {"query_length"}
    assert not list(tmp_path.rglob("*.bin")) and not (tmp_path / ".partial").exists()
    # saved by a training, the weights are those of the student by name
    student.load_state_dict(student.state_dict())


@every_one
def test_the_map_is_drawn_from_the_seed(grounds, architecture, family):
    one, same, other = (
        students.new(settings_of(architecture), grounds[family], seed) for seed in (1, 1, 2)
    )
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
    differ = set()
    for name, weight in other.state_dict().items():
        if not torch.equal(weight, one.state_dict()[name]):
            differ.add(name.partition(".")[0])
    drawn = {"dot": set(), "colbert": {"head"}, "prettr": {"head"}, "tk": {"kernels", "network"}}
    assert differ == drawn[architecture]


@pytest.fixture
def files(tmp_path):
    return tmp_path / "q", tmp_path / "p"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@every_case
def test_token_files_are_scored(grounds, architecture, family, precision, files, monkeypatch):
    student = student_of(architecture, grounds[family])
    pairs = pairs_of(student)
    for path, texts in zip(files, (pairs.queries, pairs.passages), strict=True):
        with ragged.writer(path, lineage.make("t", path.name, {}, "", [])) as append:
            append([str(i) for i in range(len(texts))], [text.tolist() for text in texts])
    sides = [Ragged(path) for path in files]
    wanted = scored(student, pairs)
    for budget, window, held in ((4096, 1 << 16, 1 << 26), (30, 3, 40), (1, 1, 1)):
        monkeypatch.setitem(batches.BUDGET, "cpu", budget)
        monkeypatch.setattr(batches, "CACHED", 0)
        monkeypatch.setattr(scoring, "WINDOW", window)
        monkeypatch.setattr(scoring, "HELD", held)
        got = torch.from_numpy(score_pairs(student, *sides, (QUERY, PASSAGE), precision, True))
        if precision == "float32":
            near(got, wanted, 1e-5)
        else:
            apart = (got - wanted).abs().max() / wanted.abs().max()
            assert 0 < apart < 0.1


@every_case
def test_parts_have_the_whole_gradient(grounds, architecture, family):
    gradients = []
    for memory in (Memory(9999, 9999), Memory(40, 9999), Memory(1, 0)):
        student = student_of(architecture, grounds[family])
        pairs = pairs_of(student)
        for module in student.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        student.train()

        def loss_of(scores):
            return (scores - 3).square().mean() / 100

        learn(student, pairs, loss_of, memory, "float32", (1, 1), Processes("cpu"))
        found = {}
        for name, weight in student.named_parameters():
            if weight.grad is not None:
                found[name] = weight.grad
        gradients.append(found)
    whole, *parts = gradients
    assert len(whole) > 10 and sum(g.abs().sum() for g in whole.values()) > 0.01
    largest = max(float(gradient.abs().max()) for gradient in whole.values())
    for part in parts:
        assert part.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(part[name], gradient, rtol=1e-3, atol=1e-5 * largest)


class Half(Processes):
    """One of two processes, which knows the scores of both."""

    def __init__(self, rank, scores):
        super().__init__("cpu")
        self.rank, self.count, self._scores = rank, 2, scores

    def total(self, tensor):
        return self._scores.clone()

    def total_gradients(self, weights):
        pass


@every_one
def test_two_processes_have_the_whole_gradient(grounds, architecture, family):
    student = student_of(architecture, grounds[family])
    pairs = pairs_of(student)
    wanted = student.scores(pairs)
    wanted.square().mean().backward()
    gradients = {n: w.grad.clone() for n, w in student.named_parameters() if w.grad is not None}
    student.zero_grad()
    for rank in (0, 1):
        how = Memory(40, 9999), "float32", (1, 1), Half(rank, wanted.detach())
        learn(student, pairs, lambda scores: scores.square().mean(), *how)
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, weight in student.named_parameters():
        if name in gradients:
            near = {"rtol": 1e-3, "atol": 1e-5 * largest}
            torch.testing.assert_close(weight.grad, gradients[name], **near)


@pytest.mark.parametrize(("held", "times"), [(9999, 1), (0, 2)])
@pytest.mark.parametrize("architecture", ["dot", "colbert", "tk"])
def test_a_step_encodes_every_text_once(grounds, architecture, held, times, monkeypatch):
    student = student_of(architecture, grounds["words" if architecture == "tk" else "bert"])
    pairs = pairs_of(student)
    encode, seen = student.encode_queries, []
    monkeypatch.setattr(student, "encode_queries", lambda t: seen.extend(t) or encode(t))
    how = Memory(40, held), "float32", (1, 1), Processes("cpu")
    learn(student, pairs, lambda scores: scores.square().mean(), *how)
    assert len(seen) == times * len(pairs.queries)


@every_one
def test_another_architecture_is_refused(checkpoints, architecture, family, tmp_path):
    from tests.made.checkpoints import student_on

    student_on(checkpoints["bert"]).save(tmp_path)
    said = "has no word vectors" if architecture == "tk" else "is a checkpoint of another archi"
    with pytest.raises(BadSource, match=said):
        students.adopt(settings_of(architecture), tmp_path)


@pytest.mark.parametrize(
    ("architecture", "found"), [("colbert", "head.bias, head.weight"), ("prettr", "head.weight")]
)
def test_dot_refuses_a_map_on_the_encoder(checkpoints, architecture, found, tmp_path):
    student_of(architecture, checkpoints["bert"]).save(tmp_path)
    with pytest.raises(BadSource, match=f"wanted no map on the encoder, found {found}: name"):
        students.adopt(settings_of("dot"), tmp_path)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_dot_passes_over_other_heads(family, tmp_path):
    """A pooler and the head of a masked language model are no map of a student."""
    folder = write_checkpoint(family, tmp_path / family, AutoModelForMaskedLM)
    student = students.adopt(settings_of("dot"), folder)
    assert student.head is None and scored(student, pairs_of(student)).std() > 0


def test_another_variant_of_tk_is_refused(grounds, tmp_path):
    student_of("tk", grounds["words"]).save(tmp_path)
    with pytest.raises(BadSource, match="not those of a TK of variant ecai with 2 layers: say its"):
        students.adopt(settings_of("tk", variant="ecai"), tmp_path)
