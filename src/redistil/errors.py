"""The errors of this package, as one small tree.

UserError            the user can mend it: one sentence, exit 2
├── BadTable         a file is not the table it should be
├── BadSettings      params.yaml, a study or an option says something impossible
├── Damaged          a file's bytes are not those that were written
├── Stale            files that belong together were made by different settings
├── BadSource        a collection, checkpoint or download is not what was declared
├── Full             a disk has no room for what is written
├── Claimed          another job writes the same output
└── Interrupted      a signal ended the work early, and its state is saved
"""

import difflib
from collections.abc import Collection


class UserError(Exception):
    """A mistake its user can mend: the message says what was wanted, what was got, what to do."""


class BadTable(UserError):
    """A file does not keep the contract of its table."""


class BadSettings(UserError):
    """A setting is unknown, out of range, or contradicts another."""


class Damaged(UserError):
    """A file is not, to the bit, what was written."""


class Stale(UserError):
    """Two files that must come from one chain of settings do not."""


class BadSource(UserError):
    """Something fetched or read from outside is missing, short or altered."""


class Full(UserError):
    """A disk has no room left for a file."""


class Claimed(UserError):
    """Another job writes the same output."""


class Interrupted(UserError):
    """A signal asked for an early end: the state is saved for the next start."""


def nearest(word: str, names: Collection[str]) -> str:
    """Return ", did you mean 'x'?" for the closest of `names`, or nothing."""
    close = difflib.get_close_matches(str(word), list(map(str, names)), n=1)
    return f": did you mean {close[0]!r}?" if close else ""
