"""Failed gates: backbones that did not learn, teachers that teach nothing new."""

from redistil.storage.lineage import Made
from redistil.study.study import Study


def failed(study: Study, made: Made) -> list[str]:
    """Return a sentence for everything that failed its gate.

    A gate is a mapping of `subject`, `passed` and `reason`. A study may list them as `gates`, and a
    record may have them as the setting `gates`: of a backbone in `build`, of a teacher in `score`
    or `average`. Each has one sentence.
    """
    gates = list(study.get("gates", []))
    for record in made.chain().values():
        gates += record.settings.get("gates", [])
    sentences: dict[str, None] = {}
    for gate in gates:
        if not gate["passed"]:
            sentences[f"{gate['subject']} failed its gate: {gate['reason']}."] = None
    return list(sentences)
