"""Tokenizers trained on a corpus, each of the kind that its family uses."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PRIVATE = 0xF0000  # the first of the code points that Unicode leaves for private use
LONGEST = 512  # tokens; what the position embeddings of a built encoder reach


def vocabulary(family: str, texts: Iterable[str], size: int) -> Any:
    """Return a tokenizer of at most `size` tokens.

    Byte pairs for modernbert; lower-cased word pieces, and token types for a pair, for the others.
    """
    modern = family == "modernbert"
    tokenizer = _byte_pairs(texts, size) if modern else _word_pieces(texts, size)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    second = "" if modern else ":1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B{second} [SEP]{second}",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    if modern:
        inputs.remove("token_type_ids")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        model_input_names=inputs,
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL},
    )


def _word_pieces(texts: Iterable[str], size: int) -> Tokenizer:
    """Return BERT's kind of tokenizer, learned as its trainer would.

    That trainer numbers the pieces inside a word ("##x") in the order of a hash map. So no
    two of its vocabularies agree. The one for byte pairs sorts its alphabet: here it is given each
    letter inside a word as a letter of its own, and learns the same merges every time.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            words[word] += 1
    pieces = _learn_pieces(words, size)
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _learn_pieces(words: Mapping[str, int], size: int) -> dict[str, int]:
    """Return the pieces of counted words, numbered, those inside a word as "##x"."""
    letters = sorted(set("".join(words)))
    inside = {ord(letter): chr(PRIVATE + i) for i, letter in enumerate(letters)}
    outside = {ord(private): chr(letter) for letter, private in inside.items()}
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), show_progress=False, min_frequency=2
    )
    learner.train_from_iterator(_marked(words, inside), trainer)
    pieces = {}
    for token, number in learner.get_vocab().items():
        plain = token.translate(outside)
        pieces[f"##{plain}" if ord(token[0]) in outside else plain] = number
    return pieces


def _marked(words: Mapping[str, int], inside: Mapping[int, str]) -> Iterator[str]:
    """Yield each word as often as it occurs, its later letters as those inside a word."""
    for word, count in sorted(words.items()):
        yield f"{word[0]}{word[1:].translate(inside)} " * count


def _byte_pairs(texts: Iterable[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL),
            show_progress=False,
            min_frequency=2,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return tokenizer
