"""Files of a checkpoint besides weights: their code is never run."""

import json

import pytest
from transformers import AutoModel

from redistil.errors import BadSource
from redistil.learning.students.checkpoints import load_network
from tests.made import tiny

CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
Path("{mark}").touch()
from transformers import BertConfig, BertModel
class TheirConfig(BertConfig):
    model_type = "theirs"
class TheirModel(BertModel):
    config_class = TheirConfig
"""


def test_a_checkpoint_with_code_is_refused(tmp_path, monkeypatch):
    """Left unsaid, transformers would ask on the terminal, and run the code on a yes."""
    folder = tiny.checkpoint(tmp_path / "theirs")
    (folder / "made.json").unlink(missing_ok=True)  # theirs has no record of ours
    (folder / "theirs.py").write_text(CODE.format(mark=tmp_path / "ran"))
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "theirs.TheirConfig", "AutoModel": "theirs.TheirModel"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "x", "auto_map": own}))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "c"))
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "y")
    with pytest.raises(
        BadSource, match="is not a usable checkpoint: The repository .* custom code"
    ):
        load_network(AutoModel, folder)
    assert not (tmp_path / "ran").exists() and not asked
