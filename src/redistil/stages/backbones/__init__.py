"""Checkpoints with their tokenizers: fetched from the hub, taken from a folder, or made here.

`fetch` is the only door to the hub: every later job reads the folder it leaves and is offline.
"""

from redistil.stages.backbones.build import build
from redistil.stages.backbones.fetch import fetch

__all__ = ["build", "fetch"]
