"""One noun for a stage, one verb for a rule: from any file one guesses the others."""

import ast
import re
from pathlib import Path

import click
import pytest

from redistil.cli import LINE, cli
from redistil.cli.commands import COMMANDS
from redistil.storage.tables import TABLES

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "redistil"
RULES = {path.stem: path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk"))}
STAGES = sorted(RULES.keys() - {"common"})
WITHOUT_CODE = {"download", "recipe", "resolve"}  # copy what they are given
SHELL = re.compile(r'shell:\n((?:\s+".*"\n)+)')


def rules():
    """Return the text of every rule, by its name."""
    head = re.compile(r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:$", re.M)
    parts = [head.split(text) for text in RULES.values()]
    return {n: body for p in parts for n, body in zip(p[1::2], p[2::2], strict=True)}


def shells():
    """Return the command line of every rule that has one."""
    lines = {name: SHELL.search(body) for name, body in rules().items()}
    joined = {n: "".join(re.findall(r'"(.*)"', found[1])) for n, found in lines.items() if found}
    assert len(joined) == sum(text.count("shell:") for text in RULES.values())
    return joined


def docs(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_complete(stage):
    module, package = SRC / f"stages/{stage}.py", SRC / f"stages/{stage}/__init__.py"
    assert module.exists() or package.exists()
    assert (SRC / "cli" / f"{stage}.py").exists()
    assert (ROOT / f"tests/unit/stages/test_{stage}.py").exists()
    assert re.search(rf"^.*\b{stage}\b", docs("tables.md"), re.M)
    assert stage in COMMANDS.values()
    assert f"\nrule {stage}:" in RULES[stage], "no target of its name"


def test_rules_and_commands_share_stages():
    assert set(STAGES) == set(COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_a_rule(name):
    command = cli.get_command(click.Context(cli), name)
    line = command.get_short_help_str(LINE)
    assert command.name == name and line and not line.endswith("..."), line
    for param in command.params:
        told = not isinstance(param, click.Option) or (param.help or "").strip(".")
        assert told, f"{name} {param.opts}"
    assert any(shell.split()[1] == name for shell in shells().values())


def test_every_rule_is_one_logged_command():
    for rule, shell in shells().items():
        verb = shell.split()[1]
        assert re.match(r"redistil [a-z0-9-]+ ", shell) and shell.endswith(" 2> {log}"), rule
        assert len(re.findall(r"\bredistil\b", shell)) == 1 and not re.search(r"[;&|]", shell), rule
        assert rule == verb.replace("-", "_") or rule == "rerank_teacher", rule
        assert '"""' in rules()[rule] and "log:" in rules()[rule], rule
    for text in RULES.values():
        assert not re.search(r"^\s+(run|script|notebook|wrapper):", text, re.M)


def test_commands_take_their_rules_names():
    for rule, shell in shells().items():
        command = cli.get_command(click.Context(cli), shell.split()[1])
        takes = "name" in [param.name for param in command.params]
        assert takes or "settings=settings(" not in rules()[rule], rule


def test_rules_pass_their_threads_on():
    for rule, shell in shells().items():
        command = cli.get_command(click.Context(cli), shell.split()[1])
        takes = "threads" in [param.name for param in command.params]
        assert takes == ("--threads {threads}" in shell), rule


def test_rules_name_their_commands_code():
    for rule, shell in shells().items():
        named = re.findall(r"\bcode\(\s*\"([\w-]+)\"", rules()[rule])
        wanted = [] if rule in WITHOUT_CODE else [shell.split()[1]]
        assert named == wanted, rule


def test_every_table_and_column_is_described():
    text = docs("tables.md")
    for name, table in TABLES.items():
        section = re.split(r"^#{2,3} ", text, flags=re.M)
        (found,) = [part for part in section if part.startswith(f"{name}\n")]
        rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", found, re.M))
        assert list(rows) == table.schema.names, name
        for field in table.schema:
            kind = re.sub("element: |large_", "", str(field.type))
            kind = re.sub(r"\bdouble\b", "float64", re.sub(r"\bfloat\b", "float32", kind))
            assert rows[field.name] == kind, f"{name}.{field.name}"
        assert f"Key: {', '.join(f'`{column}`' for column in table.key)}." in found, name


def test_every_output_is_described():
    for rule, body in rules().items():
        output = re.search(r"\n    output:\n((?:        .*\n)+)", body)
        made = re.findall(r'"((?:data|results|\{RESULTS\})/[^"]+)"', output[1] if output else "")
        for path in made:
            path = re.sub(r"\{(\{\w+\})\}", r"\1", path.replace("{RESULTS}", "results/{study}"))
            assert f"`{path}`" in docs("tables.md"), f"{rule} makes {path}"


def test_data_hang_on_no_study():
    for rule, body in rules().items():
        made = re.search(r"\n    output:\n((?:        .*\n)+)", body)
        read = re.search(r"\n    input:\n((?:        .*\n)+)", body)
        if made and read and '"data/' in made[1]:
            assert "results/" not in read[1], rule


@pytest.mark.parametrize("folder", ["data", "results"])
def test_the_list_of_a_folder_names_every_rule(folder):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|.*?\|(.*?)\|", text, re.M))))
    making = {"data": set(), "results": set()}
    for rule, body in rules().items():
        output = re.search(r"\n    output:\n((?:        .*\n)+)", body)
        place = re.search(r'"(data|results|\{RESULTS\})/', output[1]) if output else None
        if place:
            making["data" if place[1] == "data" else "results"].add(rule)
    assert named == making[folder]


def test_rules_in_the_list_of_files_exist():
    files = docs("tables.md").partition("\n## Files\n")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `(?:data|results)/.*?\|.*?\| `([^`]+)` \|", files, re.M):
        assert name in rules(), name


FORBIDDEN = {"utils", "helpers", "misc", "scripts", "util", "helper", "common"}


def test_files_are_short_and_named():
    rules = (ROOT / "workflow").rglob("*.smk")
    for path in [*SRC.rglob("*.py"), *rules, *(ROOT / "tests").rglob("*.py")]:
        assert path.stem not in FORBIDDEN or path.suffix == ".smk", path
        assert len(path.read_text().splitlines()) <= 400, path
    assert len(RULES["common"].splitlines()) <= 120


def test_nothing_unpickles_or_fetches_code():
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            said = ast.unparse(node) if isinstance(node, (ast.Call, ast.keyword)) else ""
            assert not re.match(r"(torch|pickle|joblib|dill)\.loads?\(", said), path
            assert said != "trust_remote_code=True", path
            if re.match(r"[\w.]+\.from_pretrained\(", said):  # left unsaid, it asks on the terminal
                assert "trust_remote_code=False" in said, path
            assert "allow_pickle=True" != said, path
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "")]
                assert not {"pickle", "joblib", "dill", "shelve"} & set(names), path
