"""Additions where docs/extend.md says, and nowhere else: each is used, and remakes nothing."""

import csv
from collections import Counter

import pytest
import yaml

from redistil.storage import lineage
from redistil.storage.tables import TEACHER_SCORES

OBJECTIVE = '''
def cubed(scores: Tensor, targets: Tensor, mask: Tensor, *, scale: float) -> Tensor:
    """Cubed difference of student and teacher score, mean over candidates."""
    scores, targets = _real(scores, targets, mask)
    return _mean(scale * (scores - targets).abs().pow(3), mask)


OBJECTIVES: dict[str, Objective] = {
    "cubed": cubed,'''
OBJECTIVE_DECLARED = '''
class Cubed(Loss, kind="cubed"):
    """Cubed difference of student and teacher score."""

    targets: ClassVar[Targets] = frozenset({SCORES})
    scale: Annotated[Positive, Field(description="of the loss")]


DECLARED = kinds(Cubed, '''
ARCHITECTURE = '''"""The inner product of two [CLS] states, divided."""

from redistil.learning.students.dot import Dot
from redistil.study import architectures


class Scaled(Dot):
    """A bi-encoder whose scores are divided."""

    declared = architectures.Scaled

    def interact(self, *given):
        """Return the inner product of each pair, divided."""
        return super().interact(*given) / self.settings.divisor
'''
ARCHITECTURE_DECLARED = '''
class Scaled(Dot):
    """A bi-encoder whose scores are divided."""

    divisor: Annotated[Positive, Field(description="of the scores")]


ARCHITECTURES: dict[str, type[Architecture]] = {
    "scaled": Scaled,'''
FIGURE = '''"""Systems in a row."""

from matplotlib.figure import Figure

CAPTION = "As many bars as systems."


def draw(given):
    """Return the figure."""
    figure = Figure()
    figure.subplots().bar(["a", "b"], [1, 2])
    return figure
'''
TEACHER_DECLARED = '''
class ShortestTeacher(ScoringTeacher, kind="per_character"):
    """The shorter a passage, the better."""

    wildcard: ClassVar[str] = "shortest"
    command: ClassVar[str] = "score-length"
    per_character: Annotated[NotNegative, Field(description="that a score loses")]

    def how(self, study: "Study") -> dict[str, Any]:
        return {"per_character": self.per_character}


TEACHERS = kinds(
    ShortestTeacher,'''
TEACHER = '''"""A teacher to which a short passage is a good one."""

import pyarrow as pa
import pyarrow.compute as pc

from redistil.stages.teachers import KEY, distinct_pairs
from redistil.storage.pieces import in_row_groups
from redistil.storage.tables import PASSAGES, TEACHER_SCORES


def score_length(passages, over, out, made, per_character):
    """Write the negative length of the passage of each distinct pair."""
    texts = PASSAGES.read(passages)
    lengths = dict(zip(texts["doc_id"].to_pylist(), pc.utf8_length(texts["text"]).to_pylist()))
    with TEACHER_SCORES.writer(out, made) as write, in_row_groups(TEACHER_SCORES, write) as append:
        for pairs in distinct_pairs(over):
            scores = [-per_character * lengths[name] for name in pairs["doc_id"].to_pylist()]
            append(pairs.select(KEY).append_column("score", pa.array(scores, pa.float32())))
'''
TEACHER_COMMAND = '''
@click.command()
@click.argument("passages", type=In(PASSAGES))
@click.argument("out", type=Out())
@over
@settings_from(ShortestTeacher, "per_character")
@making
def score_length(passages, out, over, per_character, made):
    """Score pairs by the length of their passage."""
    from redistil.stages.teachers import shortest

    shortest.score_length(passages, over, out, made, per_character)
'''
TEACHER_RULE = """

rule score_length:
    input:
        passages=named("data/corpora/passages/{corpus}.parquet", "members"),
        over=named("data/negatives/{over}.parquet", "over"),
    output:
        "data/teachers/{shortest}.parquet",
    log:
        "logs/teachers/{shortest}.log",
    params:
        code=code("score-length"),
        settings=settings("score-length", "{shortest}"),
        over=repeated("--over", "over"),
    shell:
        "redistil score-length {input.passages} {output} {params.over} {params.settings} 2> {log}"
"""
STUDY = {
    "like": "miniature",
    "teachers": {"brevity": {"per_character": 0.01, "over": ["pydocs-triples"]}},
    "sources": {"short": {"negatives": "pydocs-triples", "teacher": "brevity", "passages": 2}},
    "losses": {"cubed": {"objective": "cubed", "scale": 0.5, "reads": "short"}},
    "students": {
        "tiny-scaled": {
            "architecture": "scaled",
            "backbone": "tiny-bert",
            "size": "tiny",
            "divisor": 8.0,
        }
    },
    "grid": {"students": ["tiny-scaled"], "losses": ["cubed"], "teachers": []},
    "training": {"sizes": {"tiny": {"batch": {"short": 4}}}},
}
SOURCES = "src/redistil"


@pytest.fixture
def extended(house):
    """A built house with an objective, an architecture, a figure and a kind of teacher more."""
    _add_objective(house)
    _add_architecture(house)
    _add_teacher(house)
    (house.root / SOURCES / "stages/report/figures/newest.py").write_text(FIGURE)
    yield house
    house.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    house.run("git", "clean", "--quiet", "--force", "-d", "src", "studies")


def _add_objective(house):
    start = "\nOBJECTIVES: dict[str, Objective] = {"
    house.edit(f"{SOURCES}/learning/objectives.py", start, OBJECTIVE)
    house.edit(f"{SOURCES}/study/objectives.py", "\nDECLARED = kinds(", OBJECTIVE_DECLARED)


def _add_architecture(house):
    students = f"{SOURCES}/learning/students"
    (house.root / students / "scaled.py").write_text(ARCHITECTURE)
    start = "ARCHITECTURES: dict[str, Any] = {"
    named = (
        f'from redistil.learning.students.scaled import Scaled\n\n{start}\n    "scaled": Scaled,'
    )
    house.edit(f"{students}/__init__.py", start, named)
    start = "\nARCHITECTURES: dict[str, type[Architecture]] = {"
    house.edit(f"{SOURCES}/study/architectures.py", start, ARCHITECTURE_DECLARED)


def _add_teacher(house):
    house.edit(f"{SOURCES}/study/teachers.py", "\nTEACHERS = kinds(", TEACHER_DECLARED)
    (house.root / SOURCES / "stages/teachers/shortest.py").write_text(TEACHER)
    commands = house.root / SOURCES / "cli/teachers.py"
    commands.write_text(commands.read_text() + "\n" + TEACHER_COMMAND)
    one = "import AveragedTeacher"
    house.edit(f"{SOURCES}/cli/teachers.py", one, f"{one}, ShortestTeacher")
    one = '    "score": "teachers",\n'
    house.edit(f"{SOURCES}/cli/commands.py", one, f'{one}    "score-length": "teachers",\n')
    rules = house.root / "workflow/rules/teachers.smk"
    rules.write_text(rules.read_text() + TEACHER_RULE)


def test_additions_are_used_and_remake_nothing_else(extended):
    (extended.root / "studies/additions.yaml").write_text(yaml.safe_dump(STUDY))
    redrawn = {"resolve", "tabulate", "plot", "page", "compare", "contrast"}
    assert extended.planned().keys() <= redrawn
    planned = extended.planned("--config", "study=additions")
    cell = Counter(
        score_length=1, recipe=1, train=1, rerank=1, evaluate=2
    )  # of the random order too
    assert {rule: planned[rule] for rule in cell} == cell
    assert not planned.keys() & {"build", "tokenize", "encode", "retrieve", "mine", "score"}
    extended.run("snakemake", "--config", "study=additions")
    scores = TEACHER_SCORES.read(extended.root / "data/teachers/brevity.parquet")
    assert max(scores["score"].to_pylist()) < 0
    report = extended.root / "results/additions/report"
    board = (report / "tables/leaderboard.csv").read_text()
    assert "tiny-scaled/cubed" in {row["system"] for row in csv.DictReader(board.splitlines())}
    page = (report / "index.html").read_text()
    assert "As many bars as systems." in page and (report / "figures/newest.svg").exists()
    recipe = lineage.of(extended.root / "results/additions/models/tiny-scaled/cubed/1").settings
    assert recipe["divisor"] == 8.0 and recipe["options"] == {"scale": 0.5}
    assert recipe["teacher"] == "brevity"
