"""Models with records, token files under their tokenizers, and commands that store their states."""

from click.testing import CliRunner

from redistil.cli import cli
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.storage import lineage, ragged
from tests.made.students import settings_of, student_of


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception


def write_tokens(path, backbone, texts):
    """Write the token file of some texts as `tokenize` does: its record names the tokenizer."""
    made = lineage.make("tokenize", path.stem, {}, "", [lineage.of(backbone)])
    tokenizer = load_tokenizer(backbone)
    ids = tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
    with ragged.writer(path, made) as append:
        append(list(texts), ids)


def write_model(folder, backbone, architecture, seed=1, **changed):
    """Write a student of an architecture, as `train` would."""
    folder.mkdir()
    student_of(architecture, backbone, seed, **changed).save(folder)
    settings = settings_of(architecture, **changed) | {"seed": seed}
    made = lineage.make("train", folder.name, settings, "", [lineage.of(backbone)])
    lineage.record(made, folder)


def embedded(house, folder, shards=1, model="dot", tokens="bert-d", numbers="float32"):
    """Return the files of all shards of the states that a model of a house computes of tokens."""
    files = []
    for shard in range(shards):
        files.append(folder / f"{model}-{shard}-of-{shards}.arrow")
        asked = ["--numbers", numbers, "--precision", "float32", "--device", "cpu"]
        asked += ["--shard", shard, "--shards", shards, "--name", f"{model}/c/{shard}"]
        run("embed", house / model, house / f"{tokens}.arrow", files[-1], *asked)
    return files
