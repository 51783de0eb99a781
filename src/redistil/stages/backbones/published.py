"""Re-rankers of others in the forms of their libraries, brought into one form.

Each form says of a checkpoint's files what the encoder is, which weights are its own, and what
head stands on it. The result is a network of `learning.students.headed`. No code of a checkpoint
is run: classes are chosen from what is known here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from redistil.errors import BadSource
from redistil.learning.students import headed
from redistil.learning.students.checkpoints import load_network, load_tokenizer
from redistil.stages.backbones import prompts

CONFIG, WEIGHTS, MODULES = "config.json", "model.safetensors", "modules.json"
TOKENIZER = "tokenizer_config.json"

Settings = Mapping[str, Any]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Layer:
    """A map of a head: what it is, and its weights."""

    stated: Settings
    weights: Weights


@dataclass(frozen=True)
class Parts:
    """A re-ranker taken apart: weights of the encoder, and the head on it.

    weights: by the names that the encoder itself gives them.
    """

    weights: Weights
    pooling: str
    layers: Sequence[Layer]


def settle_config(form: str, folder: Path, original: Path) -> None:
    """Write the configuration of the encoder, so that transformers knows the folder's family.

    folder: the copy; original: the checkpoint. A tokenizer class that only its library has goes:
    what it does beyond the tokenizer's files is said by the lengths.
    """
    config = _json(original / CONFIG)
    settled = CONFIGS.get(form, _as_it_is)(config, original)
    (folder / CONFIG).write_text(json.dumps(settled, indent=2) + "\n", encoding="utf-8")
    path = folder / TOKENIZER
    if form == "lightning-ir" and path.exists():
        kept = _json(path)
        kept.pop("tokenizer_class", None)
        path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def convert(source: Settings, original: Path, folder: Path) -> None:
    """Write the re-ranker of `original` into `folder`, where its encoder's configuration lies.

    Raises BadSource for files that are not of the form that was declared.
    """
    parts = FORMS[source["form"]](original, folder, source)
    save_file(_own(parts.weights), folder / WEIGHTS, {"format": "pt"})
    encoder = load_network(_auto(), folder)
    config = headed.HeadedConfig(
        encoder=encoder.config,
        pooling=parts.pooling,
        layers=[dict(layer.stated) for layer in parts.layers],
    )
    network = headed.Headed(config)
    network.encoder.load_state_dict(encoder.state_dict())
    for layer, part in zip(network.head, parts.layers, strict=True):
        _load(layer, part, original)
    network.save_pretrained(folder)


def _auto() -> Any:
    from transformers import AutoModel

    return AutoModel


def _own(weights: Weights) -> dict[str, Tensor]:
    """Return weights that share no memory, as safetensors wants them."""
    own = {}
    for name, weight in weights.items():
        own[name] = weight.contiguous().clone()
    return own


def _load(layer: torch.nn.Module, part: Layer, original: Path) -> None:
    try:
        layer.load_state_dict({name: weight.float() for name, weight in part.weights.items()})
    except RuntimeError:
        shapes = {name: list(weight.shape) for name, weight in part.weights.items()}
        raise BadSource(
            f"{original}: the weights {shapes} of its head are not those of {dict(part.stated)}: "
            "check its form, or choose another revision"
        ) from None


# --- the forms ------------------------------------------------------------------------------------


def _modules(original: Path, folder: Path, source: Settings) -> Parts:
    """Read the modules of a CrossEncoder of sentence-transformers, one folder each."""
    transformer, *rest = _json_list(original / MODULES)
    _expect("Transformer", transformer, original)
    pooling = ""
    layers: list[Layer] = []
    for module in rest:
        place = _place(original, module)
        if _kind(module) == "Pooling":
            pooling = _pooling(place)
        else:
            layers += _head_module(_kind(module), original)(place)
    if not pooling or not layers:
        raise BadSource(
            f"{original / MODULES}: no pooling and head: a network for sequence classification is "
            "of the form `plain`"
        )
    _check_outputs(layers, original)
    return Parts(_tensors(_place(original, transformer)), pooling, layers)


def _head_module(kind: str, original: Path) -> Callable[[Path], list[Layer]]:
    """Return what reads a module of a head."""
    if kind not in _HEAD_MODULES:
        names = ", ".join(["Transformer", "Pooling", *_HEAD_MODULES])
        raise BadSource(
            f"{original / MODULES}: the module {kind} is not known here ({names} are): a causal "
            "language model is of the form `yes-no`, with its prompt"
        )
    return _HEAD_MODULES[kind]


def _check_outputs(layers: Sequence[Layer], original: Path) -> None:
    """Refuse a head whose last linear map gives more than one number."""
    outputs = [layer.stated["outputs"] for layer in layers if "outputs" in layer.stated]
    if outputs and outputs[-1] != 1:
        raise BadSource(
            f"{original}: its head gives {outputs[-1]} numbers for a pair, and the score of a "
            "re-ranker is one raw logit: choose another checkpoint"
        )


def _pooling(place: Path) -> str:
    """Return the pooling of a module: by its name, or by the flags of older versions."""
    stated = _json(place / CONFIG)
    mode = stated.get("pooling_mode")
    if mode is None:
        flags = [key for key, value in stated.items() if key in _POOLING_FLAGS and value is True]
        mode = _POOLING_FLAGS[flags[0]] if len(flags) == 1 else ""
    if mode not in _POOLINGS:
        raise BadSource(f"{place}: wanted one pooling of {', '.join(_POOLINGS)}, got {mode!r}")
    return _POOLINGS[mode]


_POOLINGS = {"cls": "first", "mean": "mean", "lasttoken": "last"}
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "lasttoken",
}


def _dense(place: Path) -> list[Layer]:
    """Return a linear map, and its activation where it has one."""
    stated, weights = _json(place / CONFIG), _tensors(place)
    if stated.get("use_residual"):
        raise BadSource(f"{place}: a Dense module with a residual is not known here")
    own = {name.removeprefix("linear."): weight for name, weight in weights.items()}
    layers = [_linear(own)]
    activation = str(stated.get("activation_function", "")).rpartition(".")[2].lower()
    if activation in headed.ACTIVATIONS:
        layers.append(Layer({"kind": activation}, {}))
    elif activation != "identity":
        raise BadSource(f"{place}: the activation {activation!r} is not known here")
    return layers


def _norm(place: Path) -> list[Layer]:
    weights = _tensors(place)
    own = {name.rpartition(".")[2]: weight for name, weight in weights.items()}
    stated = {"kind": headed.NORM, "inputs": len(own["weight"]), "bias": "bias" in own}
    return [Layer(stated, own)]


_HEAD_MODULES: dict[str, Callable[[Path], list[Layer]]] = {
    "Dense": _dense,
    "LayerNorm": _norm,
    "Dropout": lambda place: [],  # nothing is dropped while scoring
}


def _linear(own: Weights) -> Layer:
    outputs, inputs = own["weight"].shape
    stated = {"kind": headed.LINEAR, "inputs": inputs, "outputs": outputs, "bias": "bias" in own}
    return Layer(stated, own)


def _lightning_ir(original: Path, folder: Path, source: Settings) -> Parts:
    """Read a CrossEncoderModel of Lightning IR: the backbone's weights, and `linear`."""
    stated = _json(original / CONFIG)
    pooling = stated.get("pooling_strategy", "first")
    if pooling not in ("first", "mean"):
        raise BadSource(f"{original}: wanted the pooling first or mean, got {pooling!r}")
    return _with_head(original, pooling, encoder="", head="linear.")


def _bert_cat(original: Path, folder: Path, source: Settings) -> Parts:
    """Read a BERT_Cat of arXiv 2010.02666: `bert_model`, and `_classification_layer`."""
    return _with_head(original, "first", encoder="bert_model.", head="_classification_layer.")


def _with_head(original: Path, pooling: str, encoder: str, head: str) -> Parts:
    """Part weights by their names' beginnings: those of one linear map, and of the encoder."""
    of_head, of_encoder = {}, {}
    for name, weight in _tensors(original).items():
        if name.startswith(head):
            of_head[name.removeprefix(head)] = weight
        elif name.startswith(encoder):
            of_encoder[name.removeprefix(encoder)] = weight
    if "weight" not in of_head:
        raise BadSource(f"{original}: no weights {head}*: it is not of the form that was declared")
    return Parts(of_encoder, pooling, [_linear(of_head)])


def _yes_no(original: Path, folder: Path, source: Settings) -> Parts:
    """Read a causal language model: logit of one word less that of another, after a prompt.

    That is a linear map on the last state: the row of one word in the output matrix less that of
    the other. A tokenizer that joins query and passage into the prompt is written to `folder`.
    """
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(folder)
    network = load_network(AutoModelForCausalLM, original)
    rows = network.get_output_embeddings().weight.detach()
    yes, no = _token(tokenizer, source["yes"]), _token(tokenizer, source["no"])
    head = {"weight": (rows[yes] - rows[no])[None]}
    prompts.write(tokenizer, source["prompt"], folder)
    return Parts(network.base_model.state_dict(), "last", [_linear(head)])


def _token(tokenizer: Any, word: str) -> int:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise BadSource(f"the answer {word!r} is {len(ids)} tokens: wanted one")
    return int(ids[0])


FORMS: dict[str, Callable[[Path, Path, Settings], Parts]] = {
    "modules": _modules,
    "lightning-ir": _lightning_ir,
    "bert-cat": _bert_cat,
    "yes-no": _yes_no,
}


# --- configurations -------------------------------------------------------------------------------


def _as_it_is(config: Settings, original: Path) -> Settings:
    return config


def _of_lightning_ir(config: Settings, original: Path) -> Settings:
    """Name the family of the backbone, which Lightning IR keeps under another key."""
    if "backbone_model_type" not in config:
        raise BadSource(f"{original / CONFIG}: no backbone_model_type: it is not of Lightning IR")
    return {**config, "model_type": config["backbone_model_type"]}


def encoder_of_bert_cat(config: Settings, original: Path) -> Settings:
    """Return the published configuration of the encoder, which the checkpoint only names."""
    named = str(config.get("bert_model", "")).rpartition("/")[2]
    if named not in _ENCODERS:
        names = " or ".join(_ENCODERS)
        raise BadSource(f"{original / CONFIG}: bert_model is {named!r}: wanted {names}")
    return {"model_type": _ENCODERS[named]}


_ENCODERS = {"distilbert-base-uncased": "distilbert", "bert-base-uncased": "bert"}

CONFIGS: dict[str, Callable[[Settings, Path], Settings]] = {
    "lightning-ir": _of_lightning_ir,
    "bert-cat": encoder_of_bert_cat,
}


# --- files ----------------------------------------------------------------------------------------


def _json(file: Path) -> dict[str, Any]:
    parsed = _parsed(file)
    if not isinstance(parsed, dict):
        raise BadSource(f"{file}: wanted a JSON object, got a {type(parsed).__name__}")
    return parsed


def _json_list(file: Path) -> list[dict[str, Any]]:
    parsed = _parsed(file)
    if not isinstance(parsed, list) or not all(isinstance(item, dict) for item in parsed):
        raise BadSource(f"{file}: wanted a list of modules")
    return parsed


def _parsed(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSource(f"{file} is missing: check the form that was declared") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadSource(f"{file} is not JSON ({error})") from None


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a folder, whether in one file or several."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise BadSource(f"{file} is not a readable safetensors file ({error})") from None
    if not tensors:
        raise BadSource(f"{folder} has no *.safetensors weights (pickled ones are never loaded)")
    return tensors


def _kind(module: Settings) -> str:
    return str(module.get("type", "")).rpartition(".")[2]


def _expect(kind: str, module: Settings, original: Path) -> None:
    if _kind(module) != kind:
        raise BadSource(f"{original / MODULES}: wanted {kind} first, got {_kind(module)}")


def _place(original: Path, module: Settings) -> Path:
    """Return the folder of a module; BadSource if it would lie outside the checkpoint."""
    place = original / str(module.get("path", ""))
    if not place.resolve().is_relative_to(original.resolve()):
        raise BadSource(f"{original / MODULES}: the module {module.get('path')!r} lies outside")
    return place
