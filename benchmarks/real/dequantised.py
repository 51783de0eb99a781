"""Weights of a BERT re-ranker from its int8 ONNX graph: `python -m benchmarks.real.dequantised`.

W = (q - zero point) * scale. A weight of a matrix product lies transposed, and under a number: the
node that multiplies by it says whose weight it is. It runs in an environment with `onnx`.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PRODUCT, QUANTISED = "MatMulInteger", "_quantized"


class Named(NamedTuple):
    """A weight under the name that transformers gives it."""

    name: str
    value: Floats


def weights(nodes: Iterable[Any], stored: Mapping[str, Any]) -> Iterator[Named]:
    """Yield every weight of a graph; stored: its arrays by name."""
    for name, value in stored.items():
        if name.startswith(("bert.", "classifier.")) and value.dtype == np.float32 and value.ndim:
            yield Named(name, value)
    for node in nodes:
        name = _weight_of(node)
        if name is not None:
            whole = restored(stored, node.input[1])
            yield Named(name, np.ascontiguousarray(whole.T))
    for name in stored:
        if "embeddings." in name and name.endswith(QUANTISED):
            yield Named(name.removesuffix(QUANTISED), restored(stored, name))


def restored(stored: Mapping[str, Any], quantised: str) -> Floats:
    """Return (q - zero point) * scale of a stored weight."""
    base = quantised.removesuffix(QUANTISED)
    zero_point = stored[f"{base}_zero_point"].astype(np.float32)
    scale = stored[f"{base}_scale"].astype(np.float32)
    whole: Floats = (stored[quantised].astype(np.float32) - zero_point) * scale
    return whole


def _weight_of(node: Any) -> str | None:
    """Return whose weight a matrix product multiplies by, as `bert...query.weight`."""
    if node.op_type != PRODUCT or not node.input[1].endswith(QUANTISED):
        return None
    path = node.name.strip("/").rpartition("/")[0] or "classifier"
    return f"{path.replace('/', '.')}.weight"


def main(source: Path, out: Path) -> None:
    """Write the weights of an ONNX file as safetensors."""
    import onnx
    from onnx import numpy_helper
    from safetensors.numpy import save_file

    graph = onnx.load(source).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tensors = {}
    for named in weights(graph.node, stored):
        tensors[named.name] = named.value
    save_file(tensors, out, {"format": "pt"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
