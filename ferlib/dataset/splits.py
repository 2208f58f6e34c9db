"""The data set of faces in memory, and its split: no copy of a picture ever sits on two sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from ferlib.common.errors import DatasetError
from ferlib.common.labels import SEVEN, map_labels
from ferlib.dataset.fer2013 import SIDE, USAGES


@dataclass(frozen=True, eq=False)
class Dataset:
    """Faces with their labels.

    pixels: uint8 (n, 48, 48), gray, 0 to 255. labels: int64 (n,), an index into `class_names`.
    usage: str (n,), 'Training', 'PublicTest' or 'PrivateTest'. Raises DatasetError where these do not
    fit together.
    """

    pixels: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    class_names: tuple[str, ...] = SEVEN

    def __post_init__(self):
        n = len(self.labels)
        if self.pixels.shape != (n, SIDE, SIDE) or self.pixels.dtype != np.uint8:
            raise DatasetError(
                f"expected pixels uint8 ({n}, {SIDE}, {SIDE}), got {self.pixels.dtype} {self.pixels.shape}"
            )
        if self.labels.shape != (n,) or self.labels.dtype != np.int64:
            raise DatasetError(f"expected labels int64 (n,), got {self.labels.dtype} {self.labels.shape}")
        if self.usage.shape != (n,) or not set(np.unique(self.usage)) <= set(USAGES):
            raise DatasetError(f"expected one of {', '.join(USAGES)} as usage of each of {n} faces")
        if n and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise DatasetError(
                f"labels must be 0 to {len(self.class_names) - 1} ({', '.join(self.class_names)})"
            )
        object.__setattr__(self, "class_names", tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: np.ndarray) -> "Dataset":
        """The rows of a mask bool (n,) or of an array of row numbers, in their order."""
        return Dataset(self.pixels[rows], self.labels[rows], self.usage[rows], self.class_names)

    def part(self, usage: str) -> "Dataset":
        """The rows of one usage; maybe none. DatasetError for an unknown usage."""
        if usage not in USAGES:
            raise DatasetError(f"unknown usage {usage!r}; known are {', '.join(USAGES)}")
        return self.select(self.usage == usage)

    def with_usage(self, usage: np.ndarray | str) -> "Dataset":
        """The same faces with another usage for each, or one for all."""
        usage = np.full(len(self), usage) if isinstance(usage, str) else usage
        return Dataset(self.pixels, self.labels, usage, self.class_names)

    def with_classes(self, class_names: Sequence[str]) -> "Dataset":
        """The faces with the labels of another class set; faces of a class that it leaves out are dropped."""
        if tuple(class_names) == self.class_names:
            return self
        labels = map_labels(self.labels, self.class_names, class_names)
        keep = labels >= 0
        return Dataset(self.pixels[keep], labels[keep], self.usage[keep], tuple(class_names))

    def counts(self) -> np.ndarray:
        """Faces of each class, int64 (len(class_names),)."""
        return np.bincount(self.labels, minlength=len(self.class_names))


def join(datasets: Sequence[Dataset]) -> Dataset:
    """Data sets of one class set, one after the other."""
    names = {dataset.class_names for dataset in datasets}
    if len(names) != 1:
        raise DatasetError(f"data sets of different classes cannot be joined: {sorted(names)}")
    columns = [[getattr(dataset, name) for dataset in datasets] for name in ("pixels", "labels", "usage")]
    return Dataset(*(np.concatenate(column) for column in columns), names.pop())


def group_copies(pixels: np.ndarray) -> np.ndarray:
    """Group numbers, int64 (n,): pictures with the same pixels share one. Numbered as they first appear."""
    seen: dict[bytes, int] = {}
    digests = (blake2b(np.ascontiguousarray(face).data, digest_size=16).digest() for face in pixels)
    return np.array([seen.setdefault(digest, len(seen)) for digest in digests], np.int64)


def split(
    dataset: Dataset,
    shares: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Dataset:
    """The same rows in the same order, each with a usage: Training, PublicTest, PrivateTest by `shares`.

    Whole groups (int64 (n,); default: `group_copies`) are shuffled and dealt out, class by class, so
    that each part has each class in the same share and no group sits on two sides. The same seed gives
    the same split. Raises DatasetError for shares that do not add up to 1 or a part without a face.
    """
    shares = np.asarray(shares, float)
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise DatasetError(f"shares must be three numbers that add up to 1, got {shares.tolist()}")
    groups = group_copies(dataset.pixels) if groups is None else groups
    parts = _deal(dataset.labels, groups, shares, np.random.default_rng(seed))
    for part, share in enumerate(shares):
        if share > 0 and not (parts == part).any():
            raise DatasetError(
                f"{len(dataset)} faces are too few for shares {shares.tolist()}: no {USAGES[part]}"
            )
    return dataset.with_usage(np.array(USAGES)[parts])


def held_out(
    dataset: Dataset, share: float = 0.1, seed: int = 0, groups: np.ndarray | None = None
) -> np.ndarray:
    """A mask bool (n,) of `share` of the rows of each class, taken by whole groups of copies.

    For choosing settings on a piece of the Training rows. Raises DatasetError for a share outside 0
    to 1, where none or all of the rows would be taken, and for what `check_classes` refuses.
    """
    if not 0 < share < 1:
        raise DatasetError(f"the share must lie between 0 and 1, got {share}")
    groups = group_copies(dataset.pixels) if groups is None else groups
    check_classes(dataset, 2, groups)
    off = _deal(dataset.labels, groups, np.array([1 - share, share]), np.random.default_rng(seed)) == 1
    if not off.any() or off.all():
        raise DatasetError(f"{len(dataset)} faces are too few to split off a share of {share}")
    return off


def check_classes(dataset: Dataset, least: int = 2, groups: np.ndarray | None = None) -> None:
    """DatasetError where a class has fewer than `least` pictures (copies count once), or one alone has any.

    `groups`: as in `split`; default: `group_copies`.
    """
    groups = group_copies(dataset.pixels) if groups is None else groups
    counts = [len(np.unique(groups[dataset.labels == k])) for k in range(len(dataset.class_names))]
    present = [name for name, count in zip(dataset.class_names, counts, strict=True) if count]
    known = ", ".join(dataset.class_names)
    if len(present) < 2:
        what = f"only {present[0]}" if present else "no face"
        raise DatasetError(
            f"the data holds {what} of {known}; two classes are needed to tell one from the other"
        )
    few = [f"{name} {n}" for name, n in zip(dataset.class_names, counts, strict=True) if n < least]
    if few:
        raise DatasetError(
            f"too few pictures of a class (at least {least}): {', '.join(few)}; collect more, or "
            "choose classes without (--classes)"
        )


def split_off(
    dataset: Dataset, share: float = 0.1, seed: int = 0, groups: np.ndarray | None = None
) -> tuple[Dataset, Dataset]:
    """(rest, part): the rows that `held_out` leaves and those that it takes; `usage` stays as it is."""
    off = held_out(dataset, share, seed, groups)
    return dataset.select(~off), dataset.select(off)


def _deal(labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The number of the part that each row goes to, int64 (n,); `shares` add up to 1."""
    if len(groups) != len(labels):
        raise DatasetError(f"{len(groups)} group numbers for {len(labels)} faces")
    if not len(labels):
        return np.empty(0, np.int64)
    _, group = np.unique(groups, return_inverse=True)
    # Copies may carry different labels; a group counts for the one that most of its rows have.
    votes = np.zeros((group.max() + 1, labels.max() + 1), np.int64)
    np.add.at(votes, (group, labels), 1)
    size, group_label = votes.sum(axis=1), votes.argmax(axis=1)
    part = np.zeros(len(size), np.int64)
    for label in np.unique(group_label):
        members = rng.permutation(np.flatnonzero(group_label == label))
        total = np.cumsum(size[members])
        middle = total - size[members] / 2
        part[members] = np.searchsorted(np.cumsum(shares)[:-1] * total[-1], middle, side="right")
        _fill_empty(part, members, shares)
    return part[group]


def _fill_empty(part: np.ndarray, members: np.ndarray, shares: np.ndarray) -> None:
    """Give each part that wants rows of a rare class one group of it, from the part with the most."""
    if len(members) < np.count_nonzero(shares):
        return
    for wanting in np.flatnonzero(shares):
        held = np.bincount(part[members], minlength=len(shares))
        if held[wanting] == 0:
            part[members[part[members] == held.argmax()][-1]] = wanting


def test_usage(dataset: Dataset) -> str:
    """The usage to test on: 'PrivateTest', or 'PublicTest' for a file without PrivateTest rows.

    DatasetError where both are missing. Whoever falls back to PublicTest should say so.
    """
    for usage in ("PrivateTest", "PublicTest"):
        if (dataset.usage == usage).any():
            return usage
    raise DatasetError("the data set has neither PrivateTest nor PublicTest rows; split it first")


test_usage.__test__ = False  # the name is no test's; pytest would collect it where it is imported
