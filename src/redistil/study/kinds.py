"""The kinds of entry that a catalogue has, and the keys that each of them reads.

A key that an entry's kind does not read is refused: ignored, it would look as if it counted.
"""

from collections.abc import Collection, Set

from redistil.errors import BadSettings, nearest
from redistil.study.grid import Config

# of an entry, by the key that makes it one: the keys that it reads besides (?: that it may lack)
KINDS = {
    "corpora": {
        "pydocs": "documents? licence?",
        "irds": "documents? licensed? licence?",
        "folder": "documents? licence?",
    },
    "downloads": {"md5": "url bytes?", "sha256": "url bytes?"},
    "backbones": {
        "hub": "revision lower_case? licence?",
        "folder": "lower_case? licence?",
        "build": "licence?",
    },
    "first_stages": {
        "encoder": "query_length passage_length shard depth",
        "k1": "b stemmer depth",
        "import": "",
    },
    "negatives": {
        "kind": "dataset positives first_stage depth per_query seed at_most?",
        "docpairs": "dataset at_most seed",
        "teacher": "dataset",
    },
    "teachers": {
        "model": "over licence?",
        "checkpoint": "architecture query_length passage_length pair_length pair_form over "
        "licence?",
        "average": "licence?",
        "import": "format unknown tolerance scored? licence?",
        "llm": "first_stage depth window stride passage_words context together at_most? licence?",
    },
}


def check_kinds(config: Config) -> None:
    """Refuse an entry that is of no kind or of two, or that says what its kind does not read."""
    for catalogue, kinds in KINDS.items():
        for name, entry in config[catalogue].items():
            path, found = f"{catalogue}.{name}", [kind for kind in kinds if kind in entry]
            if not found:
                raise BadSettings(f"{path}: of no kind: give it one of {', '.join(kinds)}")
            if len(found) > 1:
                raise BadSettings(
                    f"{path}: {' and '.join(found)}: an entry is of one kind, keep one of these "
                    "keys (a study only adds keys to an entry: give another kind a name of its own)"
                )
            who, reads = f"an entry with `{found[0]}`", kinds[found[0]].split()
            check_keys(path, entry.keys() - found, who, reads)


def check_keys(path: str, given: Set[str], who: str, reads: Collection[str]) -> None:
    """Refuse a key that `who` needs and is not given, and one that it would ignore."""
    takes = sorted(key.removesuffix("?") for key in reads)
    for key in takes:
        if key in reads and key not in given:
            raise BadSettings(f"{path}: {who} needs `{key}`")
    for key in sorted(given - set(takes)):
        raise BadSettings(
            f"{path}.{key}: {who} takes {', '.join(takes) or 'no other key'}{nearest(key, takes)}"
        )
