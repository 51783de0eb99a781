"""States of texts: what a student computes of each side before the two meet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redistil.learning.batches import Rows


@dataclass(frozen=True)
class States:
    """Rows of numbers of T texts, without padding.

    values: [R, width]; offsets: [T + 1], text t has the rows [offsets[t], offsets[t + 1]).
    """

    values: Tensor
    offsets: Rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of_texts(cls, values: Tensor) -> "States":
        """Return states of one row for each text."""
        return cls(values, np.arange(len(values) + 1))

    @classmethod
    def of_grid(cls, grid: Tensor, sizes: Rows) -> "States":
        """Return the states of a padded grid [T, L, width], of which text t has `sizes[t]` rows."""
        columns = torch.arange(grid.shape[1], device=grid.device)
        mask = columns < torch.from_numpy(sizes).to(grid.device)[:, None]
        return cls(grid[mask], _offsets(sizes))

    @classmethod
    def together(cls, parts: Sequence["States"]) -> "States":
        """Return the states of all texts of several parts, in their order."""
        sizes = np.concatenate([part.sizes for part in parts])
        return cls(torch.cat([part.values for part in parts]), _offsets(sizes))

    @classmethod
    def joined(cls, first: "States", second: "States") -> "States":
        """Return the states of T pairs of texts: the rows of the one, then those of the other."""
        sizes = np.stack([first.sizes, second.sizes], 1)
        starts = np.stack([first.offsets[:-1], second.offsets[:-1] + len(first.values)], 1)
        rows = _rows(starts.ravel(), sizes.ravel())
        values = torch.cat([first.values, second.values])
        return cls(_taken(values, rows), _offsets(sizes.sum(1)))

    @property
    def sizes(self) -> Rows:
        """How many rows each text has [T]."""
        return np.diff(self.offsets)

    def rows_of(self, text: int) -> Tensor:
        """Return the rows of one text."""
        return self.values[self.offsets[text] : self.offsets[text + 1]]

    def at(self, texts: Rows) -> "States":
        """Return the states of some texts, in the order given; of neighbours they are a view."""
        if len(texts) and np.array_equal(texts, np.arange(len(texts)) + texts[0]):
            offsets = self.offsets[texts[0] : texts[-1] + 2]
            return States(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])
        sizes = self.sizes[texts]
        rows = _rows(self.offsets[texts], sizes)
        return States(_taken(self.values, rows), _offsets(sizes))

    def grid(self) -> tuple[Tensor, Tensor]:
        """Return the states as [T, L, width], zero where a text has no row, and a mask [T, L]."""
        sizes = torch.from_numpy(self.sizes).to(self.values.device)
        columns = torch.arange(int(self.sizes.max(initial=0)), device=self.values.device)
        mask = columns < sizes[:, None]
        empty = self.values.new_zeros(mask.numel(), self.values.shape[1])
        cells = mask.flatten().nonzero().squeeze(1)
        grid = empty.index_copy(0, cells, self.values).view(*mask.shape, -1)
        return grid, mask


def _rows(starts: Rows, sizes: Rows) -> Rows:
    """Return the rows of several stretches, each from its start on."""
    ends = np.cumsum(sizes)
    rows: Rows = np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1] if len(ends) else 0)
    return rows


def _taken(values: Tensor, rows: Rows) -> Tensor:
    return values[torch.from_numpy(rows).to(values.device)]


def _offsets(sizes: Rows) -> Rows:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
