"""Tiny checkpoints of the backbones of arXiv 2603.03010 and 2010.02666, as the hub has their files.

Their weights are random and so large that every token moves the score. Of its first stage, SPLADE,
there is one that finds a passage by its words.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForPreTraining

WORDS = "query cat dog bird sings runs fast red blue green the over under lazy river stone".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
REACH = 64  # tokens that a checkpoint reads
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


# --- tokenizers -------------------------------------------------------------------------------


def word_pieces(lower_case: bool = True) -> Tokenizer:
    """BERT's kind."""
    pieces = [*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *",.!?"]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = typed_pair(tokenizer)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def typed_pair(tokenizer: Tokenizer) -> Any:
    return processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )


def byte_pairs(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [" ".join(WORDS), *WORDS] * 5
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=450, special_tokens=special, show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def roberta_pairs() -> Tokenizer:
    tokenizer = byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    return tokenizer


def modern_pairs() -> Tokenizer:
    tokenizer = byte_pairs(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return tokenizer


PIECES = [f"▁{word}" for word in WORDS] + ["▁", *LETTERS, *",.!?"]


def unigrams(padding: str = "[PAD]", unknown: str = "[UNK]") -> Tokenizer:
    pieces = [(token, 0.0) for token in (padding, "[CLS]", "[SEP]", unknown)]
    pieces += [(piece, -6.0 if len(piece) == 1 else -3.0) for piece in PIECES] + [("[MASK]", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = typed_pair(tokenizer)
    tokenizer.add_special_tokens([padding, "[CLS]", "[SEP]", unknown, "[MASK]"])
    return tokenizer


def sentence_pieces() -> bytes:
    """DeBERTa-v3's `spm.model`: a sentencepiece model without [MASK], which comes on top."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    control = model.SentencePiece.CONTROL
    for token, kind in (("[PAD]", control), ("[CLS]", control), ("[SEP]", control)):
        model.pieces.add(piece=token, score=0.0, type=kind)
    model.pieces.add(piece="[UNK]", score=0.0, type=model.SentencePiece.UNKNOWN)
    for piece in PIECES:
        model.pieces.add(piece=piece, score=-6.0 if len(piece) == 1 else -3.0)
    for name, place in (("pad", 0), ("bos", 1), ("eos", 2), ("unk", 3)):
        setattr(model.trainer_spec, f"{name}_id", place)
        setattr(model.trainer_spec, f"{name}_piece", model.pieces[place].piece)
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = True
    model.normalizer_spec.escape_whitespaces = True
    found: bytes = model.SerializeToString()
    return found


# --- files ------------------------------------------------------------------------------------

Said = dict[str, Any]


def say(folder: Path, said: Said) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(said))


def bert_files(folder: Path, reach: int) -> int:
    tokenizer = word_pieces()
    tokenizer.save(str(folder / "tokenizer.json"))
    say(folder, {"do_lower_case": True, "model_max_length": reach})
    return vocabulary_file(tokenizer, folder)


def minilm_files(folder: Path, reach: int) -> int:
    """A vocabulary alone, and a configuration that forgets that it is lower-cased."""
    say(folder, {"do_lower_case": False, "model_max_length": reach})
    return vocabulary_file(word_pieces(lower_case=False), folder)


def vocabulary_file(tokenizer: Tokenizer, folder: Path) -> int:
    vocabulary = tokenizer.get_vocab()
    lines = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")
    return len(lines)


def roberta_files(folder: Path, reach: int) -> int:
    tokenizer = roberta_pairs()
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))  # vocab.json and merges.txt
    say(folder, {"model_max_length": reach})
    return tokenizer.get_vocab_size()


def albert_files(folder: Path, reach: int) -> int:
    tokenizer = unigrams("<pad>", "<unk>")
    tokenizer.save(str(folder / "tokenizer.json"))
    say(folder, {"do_lower_case": True, "model_max_length": reach})
    return tokenizer.get_vocab_size()


def deberta_files(folder: Path, _: int) -> int:
    (folder / "spm.model").write_bytes(sentence_pieces())
    say(folder, {"do_lower_case": False, "vocab_type": "spm"})
    return len(PIECES) + 4 + 1 + 7  # with [MASK]; rounded up, as 128,001 tokens are to 128,100


def ettin_files(folder: Path, reach: int) -> int:
    tokenizer = modern_pairs()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    (folder / "special_tokens_map.json").write_text(json.dumps(names))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": reach}
    say(folder, kind | {"model_input_names": ["input_ids", "attention_mask"]} | names)
    return tokenizer.get_vocab_size() + 14  # rounded up


# --- networks ---------------------------------------------------------------------------------

DISENTANGLED = {  # as microsoft/deberta-v3-base has it
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "max_relative_positions": -1,
    "position_biased_input": False,
    "type_vocab_size": 0,
}
ETTIN = {
    "pad_token_id": 3,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "local_attention": 8,  # tokens: shorter than the pairs, as 128 is
    "global_attn_every_n_layers": 3,
}


class Backbone(NamedTuple):
    family: str
    files: Callable[[Path, int], int]
    config: Said
    auto: Any = AutoModelForMaskedLM
    source: Said = {}


def ettin(layers: int, width: int, **more: Any) -> Backbone:
    shape = {"num_hidden_layers": layers, "hidden_size": width, "intermediate_size": width}
    return Backbone("modernbert", ettin_files, ETTIN | shape | more)


BACKBONES = {
    "bert-base": Backbone("bert", bert_files, {}, AutoModelForPreTraining),
    "minilm-l12": Backbone(
        "bert", minilm_files, {"num_hidden_layers": 3}, source={"lower_case": True}
    ),
    "electra-base": Backbone("electra", bert_files, {"embedding_size": 8}, AutoModelForPreTraining),
    "roberta-base": Backbone(
        "roberta",
        roberta_files,
        {
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
    ),
    "deberta-v3-base": Backbone("deberta-v2", deberta_files, DISENTANGLED),
    "ettin-17m": ettin(2, 16),
    "ettin-32m": ettin(3, 16, classifier_pooling="mean"),
    "ettin-68m": ettin(4, 24),
    "ettin-150m": ettin(5, 32),
}
# of arXiv 2010.02666; more layers than three, after which PreTTR joins query and passage
CROSS_ARCHITECTURE = {
    "distilbert": Backbone("distilbert", bert_files, {"num_hidden_layers": 4, "hidden_dim": 32}),
    "bert-large": Backbone("bert", bert_files, {"num_hidden_layers": 3}, AutoModelForPreTraining),
    "albert-large": Backbone("albert", albert_files, {"embedding_size": 8}),
}
SPLADE = Backbone("distilbert", bert_files, {"hidden_size": 64, "hidden_dim": 64})


def write(backbone: Backbone, folder: Path, reach: int = REACH) -> Path:
    """Write a random checkpoint as the hub has that backbone: with a pre-training head.

    reach: the tokens that it reads; REACH keeps tests of what lies beyond it small.
    """
    folder.mkdir(parents=True)
    shape = {
        "vocab_size": backbone.files(folder, reach),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        # RoBERTa keeps two positions for padding
        "max_position_embeddings": reach + 2 * (backbone.family == "roberta"),
        "initializer_range": 0.4,
    }
    config = AutoConfig.for_model(backbone.family, **(shape | backbone.config))
    torch.manual_seed(5)
    network = backbone.auto.from_config(config)
    if backbone is SPLADE:
        _bag_of_words(network)
    network.save_pretrained(folder)
    if backbone.family == "bert":
        _name_as_of_old(folder / "model.safetensors")
    return folder


@torch.no_grad()
def _bag_of_words(network: Any) -> None:
    """Let a token's state be its embedding, and its logit high for its own word alone."""
    width = network.config.dim
    for layer in network.distilbert.transformer.layer:
        for branch in (layer.attention.out_lin, layer.ffn.lin2):
            branch.weight.zero_()
    network.distilbert.embeddings.position_embeddings.weight.zero_()
    network.vocab_transform.weight.copy_(torch.eye(width))
    words = network.distilbert.embeddings.word_embeddings.weight
    words.copy_(torch.nn.functional.normalize(words, dim=-1))
    network.vocab_projector.bias.fill_(-math.sqrt(width) / 3)


def _name_as_of_old(file: Path) -> None:
    """Give LayerNorms the names that they had in TensorFlow: BERT's files never changed."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = {}
    for name, value in load_file(file).items():
        for new, before in old.items():
            name = name.replace(new, before)
        weights[name] = value
    save_file(weights, file, {"format": "pt"})
