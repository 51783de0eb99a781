"""Entries that a rule of their kind makes."""

from typing import TYPE_CHECKING, Any, ClassVar

from redistil.study.fields import Entry, Kinds

if TYPE_CHECKING:
    from redistil.study.study import Study


class ByRule(Entry):
    """An entry that a rule of its kind makes.

    wildcard: what the rule's paths call it; command: what the rule runs.
    """

    wildcard: ClassVar[str]
    command: ClassVar[str]

    def how(self, study: "Study") -> dict[str, Any]:
        """Return the settings that decide what the command writes."""
        return {}


def by_rule(classes: Kinds) -> list[type[ByRule]]:
    """Return the classes of a catalogue whose entries rules make."""
    return [kind for kind in classes.values() if issubclass(kind, ByRule)]
