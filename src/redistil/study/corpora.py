"""Corpora, datasets and files to download: the classes of their entries."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError

from redistil.errors import nearest
from redistil.study.fields import (
    Count,
    Entry,
    Measure,
    Name,
    Names,
    Once,
    Part,
    Share,
    Text,
    by_key,
    kinds,
    matching,
    mistake,
)
from redistil.study.origins import Origin


class Corpus(Origin):
    """A set of passages, exported once and shared by every dataset over it."""

    passages: Annotated[
        Count | None, Field(description="how many it must have; another count is refused")
    ] = None
    push: Annotated[bool, Field(description="whether DVC may keep and push its texts")] = True

    @property
    def is_pushed(self) -> bool:
        """Whether its texts may be handed on."""
        return self.push

    def exported(self) -> dict[str, Any]:
        """Return the settings that decide which passages are exported."""
        return self.settings(without=frozenset({"licence", "push"}))

    def parts(self, size: int) -> int:
        """Return into how many parts of `size` passages it is divided; one if nobody counted it."""
        return -(-(self.passages or 1) // size)


class PydocsCorpus(Corpus, kind="pydocs"):
    """Docstrings of installed packages, read as text."""

    pydocs: Annotated[
        list[Text],
        Once,
        Field(min_length=1, description="installed packages whose docstrings are read"),
    ]


class IrdsCorpus(Corpus, kind="irds"):
    """A corpus of ir_datasets."""

    irds: Annotated[Text, Field(description="an id of ir_datasets")]
    licensed: Annotated[
        Annotated[str, matching(r"[A-Za-z0-9].*", description="a path below IR_DATASETS_HOME")]
        | None,
        Field(description="where the texts must lie, as nobody may hand them on"),
    ] = None

    @property
    def is_pushed(self) -> bool:
        return self.push and self.licensed is None

    @property
    def origin(self) -> str:
        return self.irds


class FolderCorpus(Corpus, kind="folder"):
    """A corpus of one's own."""

    folder: Annotated[Text, Field(description="a folder in BEIR layout")]


CORPORA = kinds(PydocsCorpus, IrdsCorpus, FolderCorpus)
AnyCorpus = Annotated[Corpus, by_key(CORPORA)]

WITH_POSITIVE = "with_positive"  # in place of a number of queries: which of them are used
_COUNT: TypeAdapter[int] = TypeAdapter(Count)


def _count_or_choice(value: Any) -> Any:
    if value == WITH_POSITIVE:
        return value
    try:
        return _COUNT.validate_python(value)
    except ValidationError:
        wanted = f"wanted a whole number from 1, or {WITH_POSITIVE}"
        close = nearest(str(value), [WITH_POSITIVE])
        raise mistake(f"{wanted}, got {value!r}{close}") from None


_Queries = Annotated[
    int | Literal["with_positive"] | None,
    PlainValidator(_count_or_choice),
    Field(description="how many it must have; or with_positive: only those with a relevant one"),
]

# of a dataset, but not of its export: they decide how it is used
USES = frozenset({"corpus", "relevant_from", "drop_identical", "measures"})


class Dataset(Entry):
    """Queries and judgements over a corpus."""

    corpus: Annotated[Name, Names("corpora")]
    relevant_from: Annotated[Count, Field(description="least grade of a relevant passage")]
    drop_identical: Annotated[
        bool, Field(description="candidates whose id equals the query's are dropped")
    ] = False
    measures: Annotated[
        Annotated[list[Measure], Once] | None, Field(description="besides those of the study")
    ] = None

    def exported(self) -> dict[str, Any]:
        """Return the settings that decide which queries and judgements are exported."""
        settings = self.settings(without=USES)
        if settings.get("queries") == WITH_POSITIVE:
            settings["relevant_from"] = self.relevant_from
        return settings


class PydocsDataset(Dataset, kind="part"):
    """First paragraphs of docstrings as queries, divided by a hash of their text."""

    part: Literal["train", "dev", "test", "all"]
    dev: Annotated[Share | None, Field(description="share of the queries")] = None
    test: Annotated[Share | None, Field(description="share of the queries")] = None
    at_most: Annotated[Count | None, Field(description="queries")] = None


class Judged(Dataset):
    """Queries that others published, each with judgements."""

    missing_at_most: Annotated[
        Part | None,
        Field(description="share of judgements whose passage may be missing; 0.1 where unsaid"),
    ] = None
    queries: _Queries = None
    qrels: Annotated[Count | None, Field(description="how many it must have")] = None
    without: Annotated[
        Annotated[list[Annotated[Name, Names("datasets")]], Once, Field(min_length=1)] | None,
        Field(description="datasets over the same corpus whose queries are left out, by id"),
    ] = None
    at_most: Annotated[
        Count | None, Field(description="queries, those whose ids have the least hashes")
    ] = None


class IrdsDataset(Judged, kind="irds"):
    """A dataset of ir_datasets."""

    irds: Annotated[Text, Field(description="an id of ir_datasets")]


class FolderDataset(Judged, kind="split"):
    """The queries of one qrels file of the corpus's folder."""

    split: Annotated[Text, Field(description="the queries that qrels/SPLIT.tsv judges")]


DATASETS = kinds(PydocsDataset, IrdsDataset, FolderDataset)
AnyDataset = Annotated[Dataset, by_key(DATASETS)]


class Download(Entry):
    """A file that is fetched as it is, and refused if it is another."""

    url: Annotated[
        str | None,
        matching(r"https?://.*", description="an address that begins with https://"),
        Field(description="where the file is published; http or https; null: put there by hand"),
    ] = None
    bytes: Annotated[Count | None, Field(description="its size")] = None


class Md5Download(Download, kind="md5"):
    """A file with a known MD5 sum."""

    md5: Annotated[
        str,
        matching("[0-9a-f]{32}", description="32 hexadecimal digits"),
        Field(description="its MD5 sum, as hexadecimal digits"),
    ]


class Sha256Download(Download, kind="sha256"):
    """A file with a known SHA-256 sum."""

    sha256: Annotated[
        str,
        matching("[0-9a-f]{64}", description="64 hexadecimal digits"),
        Field(description="its SHA-256 sum, as hexadecimal digits"),
    ]


DOWNLOADS = kinds(Md5Download, Sha256Download)
AnyDownload = Annotated[Download, by_key(DOWNLOADS)]
