"""Checkpoints: re-rankers that others trained, one class for each form of their files."""

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, create_model, model_validator

from redistil.study.architectures import ARCHITECTURES
from redistil.study.fields import Kinds, Text, kind_of, mistake
from redistil.study.origins import Origin

_SOURCE = ("hub", "revision", "folder", "lower_case", "form")


class Checkpoint(Origin):
    """A trained re-ranker: where its files are, their form, and how it reads a pair."""

    form_settings: ClassVar[tuple[str, ...]] = ()  # the keys that only its form has
    hub: Annotated[Text | None, Field(description="an id of the Hugging Face hub")] = None
    revision: Text | None = None
    folder: Text | None = None
    lower_case: Annotated[
        bool | None, Field(description="for a tokenizer that forgets to lower-case")
    ] = None
    form: Text
    architecture: Text

    @model_validator(mode="wrap")
    @classmethod
    def _with_architecture(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if "query_length" in cls.model_fields:
            return handler(value)
        if "architecture" not in value:
            raise mistake("a key is missing: it needs `architecture`")
        kind_of(value, "architecture", dict(ARCHITECTURES))
        return _reading(cls, value["architecture"]).model_validate(value)

    @model_validator(mode="after")
    def _check_source(self) -> "Checkpoint":
        if (self.hub is None) == (self.folder is None):
            raise mistake("wanted one of `hub` (with `revision`) and `folder`")
        if (self.hub is None) != (self.revision is None):
            raise mistake("`hub` and `revision` belong together")
        return self

    @property
    def origin(self) -> str:
        return self.hub or ""

    def source(self) -> dict[str, Any]:
        """Return where its files are, and their form."""
        keys = (*_SOURCE, *self.form_settings)
        return {key: value for key, value in self.settings().items() if key in keys}

    def how(self) -> dict[str, Any]:
        """Return how it reads a pair: its architecture, and what that is set to."""
        return self.settings(without=frozenset((*_SOURCE, *self.form_settings, "licence")))


@cache
def _reading(form: type[Checkpoint], architecture: str) -> type[Checkpoint]:
    """Return the class of a form with the settings of an architecture."""
    bases: Any = (form, ARCHITECTURES[architecture])
    made: type[Checkpoint] = create_model(f"{form.__name__}{architecture}", __base__=bases)
    return made


class Plain(Checkpoint):
    """Files that transformers reads as they are: for `cat` a classification with one label."""

    form: Literal["plain"]


class Modules(Checkpoint):
    """An encoder with a head in the modules of sentence-transformers (`modules.json`)."""

    form: Literal["modules"]


class LightningIr(Checkpoint):
    """A cross-encoder of Lightning IR: an encoder with one linear map on a pooled state."""

    form: Literal["lightning-ir"]


class BertCat(Checkpoint):
    """The BERT_CAT of arXiv 2010.02666: an encoder with one linear map on its first state."""

    form: Literal["bert-cat"]


class YesNo(Checkpoint):
    """A causal language model that answers a question with one of two words."""

    form_settings: ClassVar[tuple[str, ...]] = ("prompt", "yes", "no")
    form: Literal["yes-no"]
    prompt: Annotated[
        Text, Field(description="what it reads, with {query} and then {passage} in it")
    ]
    yes: Annotated[Text, Field(description="the token of a relevant passage")]
    no: Annotated[Text, Field(description="the token of any other")]

    @model_validator(mode="after")
    def _check_prompt(self) -> "YesNo":
        before, separator, rest = self.prompt.partition("{query}")
        if not separator or "{passage}" not in rest or "{passage}" in before:
            raise mistake("wanted {query} and after it {passage}, each once", "prompt")
        return self


FORMS: Kinds = {
    "plain": Plain,
    "modules": Modules,
    "lightning-ir": LightningIr,
    "bert-cat": BertCat,
    "yes-no": YesNo,
}
