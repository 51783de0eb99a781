"""Re-rankers in the forms of other libraries, tiny and random, with a plain reading of each.

Each function writes a checkpoint and returns what its own library would compute: the score of a
query and a passage. Weights are so large that every token moves it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from redistil.storage import settings
from tests.made import checkpoints, hub
from tests.made.hub import REACH

Score = Callable[[str, str], float]

PROMPT = "<s>query: {query}\nbird: {passage}\nstone:"
CHAT = ["<|im_start|>", "<|im_end|>"]
STUDY = Path(__file__).parents[2] / "studies/published-checkpoints.yaml"


def classifier(folder: Path, reach: int = REACH) -> Score:
    """A network of transformers for sequence classification, with one label."""
    theirs = write("bert", folder / "theirs", reach, AutoModelForSequenceClassification)
    network = AutoModelForSequenceClassification.from_pretrained(theirs).eval()
    tokenizer = AutoTokenizer.from_pretrained(theirs)

    def score(query: str, passage: str) -> float:
        with torch.inference_mode():
            return float(network(**tokenizer(query, passage, return_tensors="pt")).logits)

    return score


def modules(folder: Path, reach: int = REACH) -> Score:
    """A CrossEncoder of sentence-transformers whose head is in modules, as ettin-reranker's is."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

    encoder = write("modernbert", folder / "encoder", reach)
    torch.manual_seed(3)
    wide = Dense(16, 16, bias=False, activation_function=nn.GELU())
    to_score = Dense(16, 1, activation_function=nn.Identity(), module_output_name="scores")
    norm = LayerNorm(16)
    nn.init.normal_(norm.norm.bias)
    chain = [Transformer(str(encoder)), Pooling(16, "cls"), wide, norm, to_score]
    model = CrossEncoder(modules=chain, activation_fn=nn.Identity())
    model.save_pretrained(str(folder / "theirs"))
    return lambda query, passage: float(model.predict([(query, passage)])[0])


def lightning_ir(folder: Path, reach: int = REACH) -> Score:
    """A CrossEncoderElectraModel: the weights of the backbone without prefix, and `linear`."""
    theirs = write("electra", folder / "theirs", reach)
    network, tokenizer = of(theirs)
    weight = torch.randn(1, 16, generator=torch.Generator().manual_seed(3))
    save_file(
        load_file(theirs / "model.safetensors") | {"linear.weight": weight},
        theirs / "model.safetensors",
        {"format": "pt"},
    )
    change(theirs / "config.json", model_type="cross-encoder", backbone_model_type="electra")
    change(theirs / "config.json", architectures=["CrossEncoderElectraModel"], query_length=32)
    change(theirs / "tokenizer_config.json", tokenizer_class="CrossEncoderTokenizer")
    return first_state(network, tokenizer, weight, 0.0)


def bert_cat(folder: Path, reach: int = REACH) -> Score:
    """A BERT_Cat: the encoder under `bert_model`, of which the configuration tells the name."""
    theirs = write("bert", folder / "theirs", reach)
    network, tokenizer = of(theirs)
    torch.manual_seed(3)
    weight, bias = torch.randn(1, 16), torch.randn(1)
    weights = {f"bert_model.{name}": value for name, value in network.state_dict().items()}
    weights |= {"_classification_layer.weight": weight, "_classification_layer.bias": bias}
    save_file(weights, theirs / "model.safetensors", {"format": "pt"})
    said = {"model_type": "BERT_Cat", "bert_model": "distilbert-base-uncased"}
    (theirs / "config.json").write_text(json.dumps(said))
    return first_state(network, tokenizer, weight, float(bias))


def qwen(folder: Path, reach: int = REACH) -> Score:
    """A Qwen3-Reranker, as our study names it: special tokens of a chat, and a long prompt."""
    entry = settings.mapping(STUDY)["checkpoints"]["qwen3-reranker-0.6b"]
    return yes_no(folder, 16 * reach, entry["prompt"], (entry["yes"], entry["no"]))


def yes_no(
    folder: Path, reach: int = 128, prompt: str = PROMPT, answers: tuple[str, str] = ("cat", "dog")
) -> Score:
    """A causal language model on byte pairs, with a token for each answer."""
    theirs = folder / "theirs"
    theirs.mkdir(parents=True)
    trained = hub.byte_pairs(["<s>", "<pad>", "</s>", *CHAT])
    trained.add_tokens([answer for answer in answers if answer not in trained.get_vocab()])
    trained.save(str(theirs / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}
    said |= {"additional_special_tokens": CHAT, "eos_token": "</s>", "model_max_length": reach}
    hub.say(theirs, said)
    config = AutoConfig.for_model(
        "qwen3",
        vocab_size=trained.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=reach,
        initializer_range=0.4,
        tie_word_embeddings=True,
    )
    torch.manual_seed(3)
    network = AutoModelForCausalLM.from_config(config).eval()
    network.save_pretrained(theirs)
    tokenizer = AutoTokenizer.from_pretrained(theirs)
    yes, no = (tokenizer(word)["input_ids"][0] for word in answers)

    def score(query: str, passage: str) -> float:
        text = prompt.format(query=query, passage=passage)
        with torch.inference_mode():
            logits = network(**tokenizer(text, return_tensors="pt")).logits[0, -1]
        return float(logits[yes] - logits[no])

    return score


def write(family: str, folder: Path, reach: int, auto: Any = AutoModel) -> Path:
    """Write a random encoder, or with another `auto` one with a head of one label."""
    shape = {"max_position_embeddings": reach, "num_labels": 1}
    return checkpoints.write_checkpoint(family, folder, auto, shape)


def of(folder: Path) -> tuple[Any, Any]:
    """Return the encoder and the tokenizer of a folder."""
    return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def first_state(network: nn.Module, tokenizer: Any, weight: torch.Tensor, bias: float) -> Score:
    """Return the score of a linear map on the first state of a pair."""

    def score(query: str, passage: str) -> float:
        pair = tokenizer(query, passage, return_tensors="pt")
        with torch.inference_mode():
            state = network(**pair).last_hidden_state[0, 0]
        return float(weight[0] @ state) + bias

    return score


def change(file: Path, **keys: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))
