"""Sources of the studies, in small: every file in its publisher's form, under its name.

A home of ir_datasets with the archives of MS MARCO, BEIR, NanoBEIR, LoTTE and TREC Robust (the
library takes what lies there as it is), teacher files as Zenodo has them, and checkpoints as the
hub has them. Texts are made of a few words, so that every tokenizer knows them.
"""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from redistil.seeds import generator
from redistil.storage import settings
from tests.made import forms, hub

PARAMS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
REACH = 512  # tokens that the backbones read, as the published ones do
ROBUST_FILES = 2295  # that ir_datasets wants of the TREC disks
BEIR_FIELDS = {  # of BEIR's texts, besides title and text: every set has some of them
    **dict.fromkeys(("url", "pubmed_id", "stance", "query", "description", "narrative"), ""),
    **{"authors": [], "cited_by": [], "references": [], "year": 2020},
}
WORDS_ASKED, WORDS_TOLD = 4, 12  # of a query and of the passage that it was taken from
LISTED = 100  # passages of a query in a published run
ORDERED = 50  # of them that a language model has ordered


@dataclass(frozen=True)
class Collection:
    """Passages, and queries with their judgements."""

    passages: Mapping[str, str]
    queries: dict[str, str]
    qrels: Sequence[tuple[str, str, int]]


def passages(name: str, ids: Sequence[str]) -> dict[str, str]:
    """Return a text for each id: the same under the same name."""
    rng = generator(1, "passages", name)
    return {doc_id: " ".join(rng.choice(hub.WORDS, WORDS_TOLD)) for doc_id in ids}


def asked(name: str, texts: Mapping[str, str], ids: Sequence[str], grades: int = 1) -> Collection:
    """Return queries in the words of a passage each, that judge it.

    Graded ones, and every fourth of others, judge another passage too.
    """
    rng = generator(1, "queries", name)
    doc_ids, queries, qrels = list(texts), {}, []
    for query_id in ids:
        relevant, other = rng.choice(doc_ids, 2, replace=False).tolist()
        queries[query_id] = " ".join(rng.choice(texts[relevant].split(), WORDS_ASKED))
        qrels.append((query_id, relevant, grades))
        if grades > 1:
            qrels.append((query_id, other, int(rng.integers(grades))))
        elif len(queries) % 4 == 0:
            qrels.append((query_id, other, 1))
    return Collection(texts, queries, qrels)


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(start + number) for number in range(count)]


def lines(*rows: Sequence[object], by: str = "\t") -> bytes:
    return "".join(by.join(map(str, row)) + "\n" for row in rows).encode()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def tar(path: Path, files: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


# --- collections, by the ids of ir_datasets ---------------------------------------------------

MARCO = passages("msmarco", numbered(200))
TRAIN = asked("train", MARCO, numbered(40, 1000))
DEV = asked("dev", MARCO, numbered(12, 2000))
OTHERS = asked("dev others", MARCO, numbered(14, 2100))
JUDGED = Collection(MARCO, DEV.queries | OTHERS.queries, [*DEV.qrels, *OTHERS.qrels])
HELD_OUT = 4  # of the other dev queries, to validate on
TWIN = "1000"  # a training query that a test set asks too
TRAIN.queries[TWIN] = DEV.queries["2000"]
DL = {year: asked(f"dl{year}", MARCO, numbered(8, year), grades=3) for year in (2019, 2020)}


def msmarco(home: Path) -> dict[str, Collection]:
    """Write MS MARCO's archives, with training queries that nobody judged and triples of ids."""
    root = home / "msmarco-passage"
    unjudged = {query_id: "river stone" for query_id in numbered(3, 1900)}
    files = {
        "collection.tsv": lines(*MARCO.items()),
        "queries.dev.small.tsv": lines(*DEV.queries.items()),
        "qrels.dev.small.tsv": qrels(DEV),
    }
    tar(root / "collectionandqueries.tar.gz", files)
    train = lines(*(TRAIN.queries | unjudged).items())
    dev = lines(*(JUDGED.queries | {"2900": "a dev query that nobody judged"}).items())
    tar(root / "queries.tar.gz", {"queries.train.tsv": train, "queries.dev.tsv": dev})
    put(root / "train/qrels", qrels(TRAIN))
    put(root / "dev/qrels", qrels(JUDGED))
    rng = generator(1, "docpairs")
    pairs = [(q, positive, str(rng.integers(200))) for q, positive, _ in TRAIN.qrels * 20]
    put(root / "train/docpairs.tsv.gz", gzip.compress(lines(*pairs)))
    found = {"": DEV, "/train/judged": TRAIN, "/dev/small": DEV, "/dev/judged": JUDGED}
    for year, collection in DL.items():
        folder, more = root / f"trec-dl-{year}", {"9": "queries of the track that nobody judged"}
        put(folder / "qrels", qrels(collection, by=" "))
        topics = lines(*(collection.queries | more).items())
        if year == 2019:  # its archive has no place of its own: this is where it is unpacked
            put(folder / "queries.tsv", topics)
        else:
            put(folder / "queries.tsv.gz", gzip.compress(topics))
        found[f"/trec-dl-{year}/judged"] = collection
    return {f"msmarco-passage{name}": collection for name, collection in found.items()}


def qrels(collection: Collection, by: str = "\t") -> bytes:
    return lines(*((q, 0, doc_id, grade) for q, doc_id, grade in collection.qrels), by=by)


def beir(home: Path, name: str) -> Collection:
    """Write a BEIR archive. Queries have the id of a passage, as ArguAna's."""
    texts = passages(name, [f"{name.split('/')[0]}-{number}" for number in range(40)])
    found = asked(name, texts, list(texts)[:8])
    top = name.split("/")[0]

    def jsonl(rows: Mapping[str, str], title: bool) -> str:
        more = {"metadata": BEIR_FIELDS} | ({"title": "red stone"} if title else {})
        return "".join(json.dumps({"_id": k, "text": v} | more) + "\n" for k, v in rows.items())

    path = home / "beir" / name / "source.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{top}/corpus.jsonl", jsonl(texts, title=True))
        archive.writestr(f"{top}/queries.jsonl", jsonl(found.queries, title=False))
        header = ("query-id", "corpus-id", "score")
        archive.writestr(f"{top}/qrels/test.tsv", lines(header, *found.qrels))
    return found


def nano(home: Path, name: str) -> Collection:
    """Write the three Parquet files of a NanoBEIR set."""
    texts = passages(f"nano {name}", [f"nano-{number}" for number in range(40)])
    found = asked(f"nano {name}", texts, list(texts)[:8])
    tables = {
        "corpus": {"_id": list(texts), "text": list(texts.values())},
        "queries": {"_id": list(found.queries), "text": list(found.queries.values())},
        "qrels": {
            "query-id": [q for q, _, _ in found.qrels],
            "corpus-id": [doc_id for _, doc_id, _ in found.qrels],
        },
    }
    folder = home / "nano-beir" / name
    folder.mkdir(parents=True)
    for file, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{file}.parquet")
    return found


def lotte(home: Path, names: Sequence[str]) -> dict[str, Collection]:
    """Write LoTTE's one archive with the test sets of some domains."""
    found, files = {}, {}
    for name in names:
        texts = passages(name, numbered(40))
        one = asked(name, texts, numbered(8), grades=1)
        folder = f"lotte/{name}/test"
        pids = {q: [int(d) for judged, d, _ in one.qrels if judged == q] for q in one.queries}
        answers = [
            {"qid": int(q), "query": text, "answer_pids": pids[q]}
            for q, text in one.queries.items()
        ]
        files[f"{folder}/collection.tsv"] = lines(*texts.items())
        files[f"{folder}/questions.search.tsv"] = lines(*one.queries.items())
        files[f"{folder}/qas.search.jsonl"] = lines(*([json.dumps(row)] for row in answers))
        found |= {f"lotte/{name}/test": one, f"lotte/{name}/test/search": one}
    tar(home / "lotte/lotte.tar.gz", files)
    return found


def robust(home: Path) -> dict[str, Collection]:
    """Write the TREC disks as NIST's licensees unpack them: most of the files are empty here."""
    root, texts = home / "disks45", passages("robust", [f"FBIS3-{n}" for n in range(40)])
    one = asked("robust", texts, numbered(8, 301), grades=2)
    for number in range(ROBUST_FILES):
        put(root / f"corpus/NEWS_data/FBIS/FB{number:06}", b"")
    document = "<DOC>\n<DOCNO> {} </DOCNO>\n<TEXT>\n{}\n</TEXT>\n</DOC>\n"
    told = "".join(document.format(*row) for row in texts.items())
    put(root / "corpus/NEWS_data/FBIS/FB000000", told.encode())
    topic = (
        "<top>\n\n<num> Number: {} \n<title> {}\n\n<desc> Description: \nwhat is told of it\n\n"
        "<narr> Narrative: \nall that is told of it\n\n</top>\n\n"
    )
    topics = "".join(topic.format(*row) for row in one.queries.items())
    put(root / "04.testset.gz", gzip.compress(topics.encode()))
    put(root / "qrels.robust2004.txt", qrels(one, by=" "))
    return {"disks45/nocr": one, "disks45/nocr/trec-robust-2004": one}


def home(root: Path) -> dict[str, Collection]:
    """Fill a home of ir_datasets; return what it holds, by id: every one that params.yaml names."""
    found = msmarco(root) | robust(root)
    names = {entry["irds"] for entry in PARAMS["corpora"].values() if "irds" in entry}
    found |= lotte(root, [name.split("/")[1] for name in sorted(names) if "lotte/" in name])
    for name in sorted(names):
        top, _, rest = name.partition("/")
        if top == "beir":
            found[name] = found[f"{name}/test"] = beir(root, rest)
        elif top == "nano-beir":
            found[name] = nano(root, rest)
    return found


def counted(collections: Mapping[str, Collection]) -> dict[str, Any]:
    """Return what a study must lay over params.yaml: how much there is of each collection here."""
    changed: dict[str, Any] = {"corpora": {}, "datasets": {}}
    for name, entry in PARAMS["corpora"].items():
        if "irds" in entry:
            changed["corpora"][name] = {"passages": len(collections[entry["irds"]].passages)}
    for name, entry in PARAMS["datasets"].items():
        if "irds" in entry:
            one = collections[entry["irds"]]
            counts = {"queries": len(one.queries), "qrels": len(one.qrels)}
            sample = {"at_most": HELD_OUT} if "at_most" in entry else {}
            changed["datasets"][name] = counts | sample
    return changed


# --- teacher files ----------------------------------------------------------------------------


def scored_triples(teacher: str) -> bytes:
    """As Zenodo 4068216: the scores of a positive and a negative, then three ids, tabs between."""
    rng, rows = generator(1, "scored triples", teacher), []
    logits: dict[tuple[str, str], float] = {}
    for query_id, positive, _ in TRAIN.qrels * 5:
        pair = positive, str(rng.integers(200))
        scores = [
            logits.setdefault((query_id, doc_id), float(rng.normal(mean, 3)))
            for doc_id, mean in zip(pair, (8, -4), strict=True)
        ]
        rows.append((*scores, query_id, *pair))
    return lines(*rows)


def run(depth: int, order: str, tag: str) -> bytes:
    """As Zenodo 12528410: `qid Q0 docid rank score tag`, for each judged training query.

    The passages of a query are the same in every run, as far as it goes, in an order of its own.
    """
    rows: list[tuple[object, ...]] = []
    for query_id in TRAIN.queries:
        positives = [doc_id for judged, doc_id, _ in TRAIN.qrels if judged == query_id]
        others = generator(1, "run", query_id).permutation(sorted(MARCO.keys() - {*positives}))
        found = np.array([*positives, *others.tolist()])[:depth]
        ranked = found[generator(1, order, query_id).permutation(depth)].tolist()
        rows += [
            (query_id, "Q0", doc_id, rank, depth - rank + 1, tag)
            for rank, doc_id in enumerate(ranked, 1)
        ]
    return lines(*rows, by=" ")


def teachers(folder: Path) -> None:
    """Write published files by the names that params.yaml gives them under `downloads`."""
    folder.mkdir(parents=True)
    for name in ("t1", "t2"):
        (folder / f"{name}-triples.tsv").write_bytes(scored_triples(name))
    (folder / "colbertv2-msmarco-train.run").write_bytes(run(LISTED, "colbert", "colbert"))
    for name, depth in (("colbert-50", ORDERED), ("colbert-100", LISTED), ("bm25-100", LISTED)):
        (folder / f"rankzephyr-{name}.run").write_bytes(run(depth, name, "rankzephyr"))


def word_vectors(file: Path, width: int) -> None:
    """Write vectors in GloVe's form: a word and its numbers a line, blanks between, no header."""
    rng = generator(1, "word vectors")
    rows = [(word, *np.round(rng.normal(size=width), 4)) for word in hub.WORDS]
    put(file, lines(*rows, by=" "))


def moved(folder: Path, address: str) -> dict[str, Any]:
    """Return what a study must lay over params.yaml: where the files are served, and their sums."""
    found = {
        file.name: {
            "url": f"{address}/{file.name}",
            "md5": hashlib.md5(file.read_bytes()).hexdigest(),
        }
        for file in sorted(folder.iterdir())
    }
    return {"downloads": found}


# --- checkpoints ------------------------------------------------------------------------------

CHECKPOINTS = PARAMS["checkpoints"] | settings.mapping(forms.STUDY)["checkpoints"]
RE_RANKERS = {  # of the study published-checkpoints: one of each form that it has
    "ms-marco-minilm-l12": forms.classifier,
    "xpmir-bert-base-infonce": forms.classifier,
    "monoelectra-base": forms.lightning_ir,
    "ettin-reranker-17m": forms.modules,
    "qwen3-reranker-0.6b": forms.qwen,
}


def re_rankers(folder: Path) -> dict[str, Path]:
    """Write re-rankers of others; return their folders by the ids that the hub has."""
    found = {}
    for name, write in RE_RANKERS.items():
        write(folder / name, REACH)
        found[CHECKPOINTS[name]["hub"]] = folder / name / "theirs"
    return found


def revisions() -> set[str]:
    """Return the revisions at which the study asks for re-rankers of others."""
    return {CHECKPOINTS[name]["revision"] for name in RE_RANKERS}


def checkpoints(folder: Path) -> dict[str, Path]:
    """Write the backbones and SPLADE; return their folders by the ids that the hub has."""
    made = hub.BACKBONES | hub.CROSS_ARCHITECTURE | {"splade-v3-distilbert": hub.SPLADE}
    return {
        PARAMS["backbones"][name]["hub"]: hub.write(backbone, folder / name, REACH)
        for name, backbone in made.items()
    }
