"""What is wrong with a data set of faces: copies, copies across its parts, labels that differ, blank pictures.

Exact copies have the same pixels. Near copies are the same photo saved again, brightened, with a stamp on
it or shifted by half a pixel: scaled down to 16×16 (which removes sharpness; a larger shift hides the copy)
and normalized for brightness and contrast, the two have a correlation of at least SIMILAR. In FER2013, all
of 32 pairs between 0.96 and 0.97 that were looked at were one photo; below 0.95 the first others appear.
Of the 3.4 million pairs of 2,624 drawn faces, one is above 0.96.
"""

from dataclasses import dataclass

import numpy as np

from ferlib.dataset.splits import SIDE, USAGES, Dataset

SIMILAR = 0.96
"""Correlation from which two pictures count as near copies."""

BLANK = 4.0
"""Standard deviation of gray levels (0 to 255) below which a picture shows nothing."""

_SMALL = 16
_ROWS = 1024  # pictures compared with all others at once; with 32,298 of them this takes 130 MB


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit_dataset` found in a data set of n faces; rows are counted from 0.

    Attributes:
        dataset: The data set; its `groups` are the exact copies.
        near: Pairs of rows (first < second) that are near but not exact copies, none of them blank,
            int64 (m, 2).
        blank: Blank pictures, bool (n,).
    """

    dataset: Dataset
    near: np.ndarray
    blank: np.ndarray

    @property
    def copies(self) -> np.ndarray:
        """Rows that are exact copies of an earlier row, bool (n,)."""
        found = np.ones(len(self.dataset), bool)
        found[np.unique(self.dataset.groups, return_index=True)[1]] = False
        return found

    @property
    def conflicts(self) -> list[np.ndarray]:
        """The groups of exact copies that have more than one label, each as its rows, int64 (k,)."""
        groups = self.dataset.groups
        pairs = np.unique(np.stack([groups, self.dataset.labels], axis=1), axis=0)
        return [np.flatnonzero(groups == group) for group in np.flatnonzero(np.bincount(pairs[:, 0]) > 1)]

    def twins(self, usage: str, other: str = USAGES[0]) -> np.ndarray:
        """Find exact copies across two parts.

        Args:
            usage: The part whose rows are returned.
            other: The part that is searched for their copies.

        Returns:
            Rows of `usage` with an exact copy among the rows of `other`, bool (n,).
        """
        groups, usages = self.dataset.groups, self.dataset.usage
        return (usages == usage) & np.isin(groups, groups[usages == other])

    def near_twins(self, usage: str, other: str = USAGES[0]) -> np.ndarray:
        """Find near copies across two parts.

        Args:
            usage: The part whose rows are returned.
            other: The part that is searched for their copies.

        Returns:
            Rows of `usage` with a near copy among the rows of `other` and no exact one, bool (n,).
        """
        inside, outside = self.dataset.usage == usage, self.dataset.usage == other
        found = np.zeros(len(self.dataset), bool)
        for one, two in (self.near.T, self.near.T[::-1]):
            found[one[inside[one] & outside[two]]] = True
        return found & ~self.twins(usage, other)

    def leaks(self) -> np.ndarray:
        """Find the Training rows with an exact or near copy in another part.

        Returns:
            bool (n,).
        """
        found = [find(USAGES[0], other) for other in USAGES[1:] for find in (self.twins, self.near_twins)]
        return np.logical_or.reduce(found)

    def disputed(self) -> np.ndarray:
        """Find the Training rows that have an exact copy with another label in any part.

        Returns:
            bool (n,).
        """
        rows = np.concatenate([np.empty(0, np.int64), *self.conflicts])
        return np.isin(np.arange(len(self.dataset)), rows) & (self.dataset.usage == USAGES[0])


def audit_dataset(dataset: Dataset) -> Audit:
    """Search a data set for copies, conflicting labels and blank pictures.

    It takes about ten seconds on two cores for FER2013's 32,298 rows.

    Args:
        dataset: The faces.

    Returns:
        What was found.
    """
    blank = dataset.pixels.std(axis=(1, 2)) < BLANK
    shown = np.flatnonzero(~blank)
    return Audit(dataset, shown[near_copies(dataset.pixels[shown])], blank)


def near_copies(pixels: np.ndarray, similar: float = SIMILAR) -> np.ndarray:
    """Find pictures that are alike but not the same; every pair is compared.

    Args:
        pixels: Gray faces, uint8 (n, 48, 48).
        similar: Correlation from which two pictures are alike, 0 to 1.

    Returns:
        Pairs of rows, first < second, int64 (m, 2).
    """
    small = _shrink(pixels)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pixels), _ROWS):
        one, two = np.nonzero(small[start : start + _ROWS] @ small[start:].T >= similar)
        later = two > one  # each pair once, and no picture with itself
        found.append(np.stack([one[later], two[later]], axis=1) + start)
    pairs = np.concatenate(found)
    same = (pixels[pairs[:, 0]] == pixels[pairs[:, 1]]).all(axis=(1, 2))
    return pairs[~same]


def _shrink(pixels: np.ndarray) -> np.ndarray:
    """Each picture as 256 means of 3×3 pixels, minus their mean, with norm one: float32 (n, 256)."""
    width = SIDE // _SMALL
    small = pixels.reshape(-1, _SMALL, width, _SMALL, width).mean(axis=(2, 4), dtype=np.float32)
    small = small.reshape(-1, _SMALL * _SMALL)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


def drop_leaks(found: Audit) -> Dataset:
    """Remove the Training rows that leak into another part or whose label is disputed.

    The other parts stay complete, so that results on them compare with published ones.

    Args:
        found: The audit of the data set.

    Returns:
        The data set without these rows.
    """
    return found.dataset.select(~(found.leaks() | found.disputed()))


def summary(found: Audit) -> list[tuple[str, int]]:
    """Summarize an audit.

    Args:
        found: The audit of a data set.

    Returns:
        Lines of a table: (what was found, how many).
    """
    data = found.dataset
    present = [usage for usage in USAGES if (data.usage == usage).any()]
    lines = [
        ("faces", len(data)),
        ("exact copies of an earlier row", int(found.copies.sum())),
        ("groups of copies with different labels", len(found.conflicts)),
        ("pairs of near copies", len(found.near)),
        ("of these with different labels", int((np.diff(data.labels[found.near]) != 0).sum())),
        ("blank pictures", int(found.blank.sum())),
    ]
    for usage in present[1:] if USAGES[0] in present else []:
        lines.append((f"{usage} rows with an exact twin in Training", int(found.twins(usage).sum())))
        lines.append((f"{usage} rows with a near twin only", int(found.near_twins(usage).sum())))
    lines.append(("Training rows that leak into another part", int(found.leaks().sum())))
    lines.append(("Training rows whose label is disputed", int(found.disputed().sum())))
    return lines


def balance(dataset: Dataset) -> list[tuple[str, list[int]]]:
    """Count the faces per class and part.

    Args:
        dataset: The faces.

    Returns:
        (class name, its counts in Training, PublicTest and PrivateTest) for each class.
    """
    counts = np.stack([dataset.part(usage).counts() for usage in USAGES], axis=1)
    return list(zip(dataset.class_names, counts.tolist(), strict=True))


def imbalance(dataset: Dataset) -> tuple[str, str, float]:
    """Compare the largest with the smallest class of Training (of all rows where there are none).

    Args:
        dataset: The faces.

    Returns:
        (largest class, smallest class, ratio of their counts); the ratio is inf for an empty class.
    """
    part = dataset.part(USAGES[0])
    counts = (part if len(part) else dataset).counts()
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / counts[least] if counts[least] else float("inf")
    return dataset.class_names[most], dataset.class_names[least], float(ratio)
