"""What is wrong with a data set of faces: copies, copies across its parts, labels that differ, blank pictures.

Exact copies have the same pixels. Near copies are the same photo saved again, brightened, with a stamp on
it or half a pixel aside: shrunk to 16×16 (which takes sharpness out; more of a shift hides it) and freed of
brightness and contrast, the two correlate by at least SIMILAR. In FER2013 all of 32 pairs between 0.96 and
0.97 that were looked at were one photo, below 0.95 first others are among them; of the 3.4
million pairs of 2,624 drawn faces one came over 0.96.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferlib.dataset.fer2013 import SIDE, USAGES
from ferlib.dataset.splits import Dataset, group_copies

SIMILAR = 0.96
"""Correlation from which two pictures count as near copies."""

BLANK = 4.0
"""Standard deviation of gray levels (0 to 255) under which a picture shows nothing."""

_SMALL = 16
_ROWS = 1024  # pictures compared with all others at once; 32,298 of them make 130 MB


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` found in a data set of n faces; rows are counted from 0.

    groups: int64 (n,), exact copies share a number. near: int64 (m, 2), pairs of rows (first < second)
    that are near but not exact copies, none of them blank. blank: bool (n,).
    """

    dataset: Dataset
    groups: np.ndarray
    near: np.ndarray
    blank: np.ndarray

    @property
    def copies(self) -> np.ndarray:
        """Rows that are exact copies of an earlier row: bool (n,)."""
        first = np.zeros(len(self.groups), bool)
        first[np.unique(self.groups, return_index=True)[1]] = True
        return ~first

    @property
    def conflicts(self) -> list[np.ndarray]:
        """The groups of exact copies that carry more than one label, each as its rows."""
        pairs = np.unique(np.stack([self.groups, self.dataset.labels], axis=1), axis=0)
        torn = np.flatnonzero(np.bincount(pairs[:, 0]) > 1) if len(pairs) else []
        return [np.flatnonzero(self.groups == group) for group in torn]

    def twins(self, usage: str, other: str = USAGES[0]) -> np.ndarray:
        """Rows of `usage` with an exact copy among the rows of `other`: bool (n,)."""
        inside, outside = self.dataset.usage == usage, self.dataset.usage == other
        return inside & np.isin(self.groups, self.groups[outside])

    def near_twins(self, usage: str, other: str = USAGES[0]) -> np.ndarray:
        """Rows of `usage` with a near copy among the rows of `other` and no exact one: bool (n,)."""
        inside, outside = self.dataset.usage == usage, self.dataset.usage == other
        found = np.zeros(len(self.groups), bool)
        for one, two in (self.near.T, self.near.T[::-1]):
            found[one[inside[one] & outside[two]]] = True
        return found & ~self.twins(usage, other)

    def leaks(self) -> np.ndarray:
        """Training rows with an exact or near copy in another part: bool (n,)."""
        found = np.zeros(len(self.groups), bool)
        for other in USAGES[1:]:
            found |= self.twins(USAGES[0], other) | self.near_twins(USAGES[0], other)
        return found

    def disputed(self) -> np.ndarray:
        """Training rows that have an exact copy with another label, anywhere: bool (n,)."""
        rows = np.zeros(len(self.groups), bool)
        for group in self.conflicts:
            rows[group] = True
        return rows & (self.dataset.usage == USAGES[0])


def audit(dataset: Dataset, similar: float = SIMILAR) -> Audit:
    """Look a data set through; about ten seconds of two cores for FER2013's 32,298 rows."""
    blank = blanks(dataset.pixels)
    return Audit(dataset, group_copies(dataset.pixels), near_copies(dataset.pixels, similar, ~blank), blank)


def blanks(pixels: np.ndarray, deviation: float = BLANK) -> np.ndarray:
    """Pictures of one gray all over, or nearly: bool (n,). pixels: uint8 (n, 48, 48)."""
    return pixels.std(axis=(1, 2)) < deviation


def near_copies(pixels: np.ndarray, similar: float = SIMILAR, among: np.ndarray | None = None) -> np.ndarray:
    """Pairs of rows, int64 (m, 2), whose pictures are alike but not the same; every pair is compared.

    pixels: uint8 (n, 48, 48). `among`: bool (n,), the rows to look at; default all.
    """
    rows = np.arange(len(pixels)) if among is None else np.flatnonzero(among)
    small = _small(pixels[rows])
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(rows), _ROWS):
        one, two = np.nonzero(small[start : start + _ROWS] @ small[start:].T >= similar)
        later = two > one  # each pair once, and no picture with itself
        found.append(np.stack([one[later], two[later]], axis=1) + start)
    pairs = rows[np.concatenate(found)]
    same = (pixels[pairs[:, 0]] == pixels[pairs[:, 1]]).all(axis=(1, 2))
    return pairs[~same]


def _small(pixels: np.ndarray) -> np.ndarray:
    """Each picture as 256 means of 3×3 pixels, less their mean, of length one: float32 (n, 256)."""
    width = SIDE // _SMALL
    small = pixels.reshape(-1, _SMALL, width, _SMALL, width).mean(axis=(2, 4), dtype=np.float32)
    small = small.reshape(-1, _SMALL * _SMALL)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


def drop_leaks(found: Audit) -> Dataset:
    """The data set without the Training rows that leak into another part or whose label is disputed.

    The other parts stay whole, so that figures on them compare with published ones.
    """
    return found.dataset.select(~(found.leaks() | found.disputed()))


def summary(found: Audit) -> list[tuple[str, int]]:
    """What was found, as lines of a table: (what, how many)."""
    data = found.dataset
    there = [usage for usage in USAGES if (data.usage == usage).any()]
    lines = [
        ("faces", len(data)),
        ("exact copies of an earlier row", int(found.copies.sum())),
        ("groups of copies with different labels", len(found.conflicts)),
        ("pairs of near copies", len(found.near)),
        ("of these with different labels", int((np.diff(data.labels[found.near]) != 0).sum())),
        ("blank pictures", int(found.blank.sum())),
    ]
    for usage in there[1:] if USAGES[0] in there else []:
        lines.append((f"{usage} rows with an exact twin in Training", int(found.twins(usage).sum())))
        lines.append((f"{usage} rows with a near twin only", int(found.near_twins(usage).sum())))
    lines.append(("Training rows that leak into another part", int(found.leaks().sum())))
    lines.append(("Training rows whose label is disputed", int(found.disputed().sum())))
    return lines


def balance(dataset: Dataset) -> list[tuple[str, Sequence[int]]]:
    """Faces of each class: (class name, its count in Training, PublicTest and PrivateTest)."""
    counts = np.stack([dataset.part(usage).counts() for usage in USAGES], axis=1)
    return [(name, row.tolist()) for name, row in zip(dataset.class_names, counts, strict=True)]


def imbalance(dataset: Dataset) -> tuple[str, str, float]:
    """(largest class, smallest class, how many times larger) of Training; inf for an empty class."""
    part = dataset.part(USAGES[0])
    counts = (part if len(part) else dataset).counts()
    most, least = int(counts.argmax()), int(counts.argmin())
    times = counts[most] / counts[least] if counts[least] else float("inf")
    return dataset.class_names[most], dataset.class_names[least], float(times)
