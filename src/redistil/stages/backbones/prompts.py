"""The prompt of a language model as the form of a pair: how a tokenizer joins two texts."""

from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer, normalizers, processors

from redistil.errors import BadSource

QUERY, PASSAGE = "{query}", "{passage}"


class Around(NamedTuple):
    """The texts of a prompt around a query and a passage; spaced: each stands after a space."""

    before: str
    between: str
    after: str
    spaced: bool

    @property
    def texts(self) -> dict[str, str]:
        """The texts by their places."""
        return {"before": self.before, "between": self.between, "after": self.after}


def write(tokenizer: Any, prompt: str, folder: Path) -> None:
    """Write a tokenizer that joins a pair into a prompt.

    Query and passage are tokenised by themselves, as everywhere here. Where the prompt has a space
    before them, every text is tokenised as after a space. Raises BadSource where one of the two
    stands after a space and the other does not.
    """
    from transformers import PreTrainedTokenizerFast

    around = parted(prompt)
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = _template(backend, around.texts)
    if around.spaced:
        _after_space(backend)
    padding = tokenizer.pad_token or tokenizer.eos_token
    special = tokenizer.special_tokens_map | {"pad_token": padding}
    joined = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )
    joined.save_pretrained(folder)


def parted(prompt: str) -> Around:
    """Return the texts of a prompt around its query and its passage."""
    before, rest = prompt.split(QUERY, 1)
    between, after = rest.split(PASSAGE, 1)
    spaced = before.endswith(" ")
    if spaced != between.endswith(" "):
        raise BadSource(
            f"prompt: a space stands before one of {QUERY} and {PASSAGE}: put one before both, or "
            "before none"
        )
    if spaced:
        before, between = before[:-1], between[:-1]
    return Around(before, between, after, spaced)


def _template(backend: Tokenizer, texts: dict[str, str]) -> Any:
    """Return the processor that sets these texts around a query and a passage."""
    special = []
    pieces = {}
    for part, text in texts.items():
        encoded = backend.encode(text, add_special_tokens=False)
        pieces[part] = f"{part}:0 " if encoded.ids else ""
        if encoded.ids:
            special.append({"id": part, "ids": encoded.ids, "tokens": encoded.tokens})
    pair = f"{pieces['before']}$A:0 {pieces['between']}$B:0 {pieces['after']}".strip()
    return processors.TemplateProcessing(single="$A:0", pair=pair, special_tokens=special)


def _after_space(backend: Tokenizer) -> None:
    """Let a tokenizer read every text as after a space, where it does not do so already."""
    alone = backend.encode("a", add_special_tokens=False).ids
    after = backend.encode(" a", add_special_tokens=False).ids
    if alone != after:
        steps = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([*steps, normalizers.Prepend(" ")])
