"""The data set of faces in memory, and its split: no copies of one picture are on both sides of a split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ferlib.common.errors import DatasetError, check_choice, warn_each
from ferlib.common.labels import SEVEN, map_labels

SIDE = 48
"""Width and height of a face in pixels."""

PIXELS = SIDE * SIDE
"""Pixels of a face."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""Training, validation and test, by the names of the contest."""

PARTS = {
    "Training": ("train", "training"),
    "PublicTest": ("val", "valid", "validation", "publictest"),
    "PrivateTest": ("test", "privatetest"),
}
"""Words for each usage, in lower case; the first names the files and folders of stage 03."""

SPELLINGS = {word: usage for usage, words in PARTS.items() for word in words}
"""The usage of each word."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """n faces with their labels. Not changed after it is made; the methods return new data sets.

    Attributes:
        pixels: Gray faces, uint8 (n, 48, 48), 0 to 255.
        labels: Class of each face, an index into `class_names`, int64 (n,).
        usage: `"Training"`, `"PublicTest"` or `"PrivateTest"` for each face, str (n,).
        class_names: Names of the classes, in the order of the labels.

    Raises:
        DatasetError: A shape or dtype is another, a label is out of range, or a usage is unknown.
    """

    pixels: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    class_names: tuple[str, ...] = SEVEN

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.pixels.shape != (n, SIDE, SIDE) or self.pixels.dtype != np.uint8:
            raise DatasetError(
                f"expected pixels uint8 ({n}, 48, 48), got {self.pixels.dtype} {self.pixels.shape}"
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

    @cached_property
    def groups(self) -> np.ndarray:
        """Group number of each face, int64 (n,): exact copies share one. Numbered by first appearance."""
        seen: dict[bytes, int] = {}
        return np.array([seen.setdefault(face.tobytes(), len(seen)) for face in self.pixels], np.int64)

    @property
    def test_usage(self) -> str:
        """The usage to test on: `"PrivateTest"`, or `"PublicTest"` for a file without PrivateTest rows.

        A caller that falls back to PublicTest should tell its user so.

        Raises:
            DatasetError: The data set has rows of neither.
        """
        for usage in ("PrivateTest", "PublicTest"):
            if (self.usage == usage).any():
                return usage
        raise DatasetError("the data set has neither PrivateTest nor PublicTest rows; split it first")

    def select(self, rows: np.ndarray) -> "Dataset":
        """Pick rows.

        Args:
            rows: A mask, bool (n,), or row numbers, int (m,), in the order wanted.

        Returns:
            A data set of these rows.
        """
        return Dataset(self.pixels[rows], self.labels[rows], self.usage[rows], self.class_names)

    def part(self, usage: str) -> "Dataset":
        """Pick the rows of one usage.

        Args:
            usage: A name of USAGES.

        Returns:
            A data set of these rows; empty where there are none.
        """
        check_choice("usage", usage, USAGES)
        return self.select(self.usage == usage)

    def with_usage(self, usage: np.ndarray | str) -> "Dataset":
        """Replace the usage.

        Args:
            usage: The usage of each face, str (n,), or one for all.

        Returns:
            A data set of the same faces.
        """
        usage = np.full(len(self), usage) if isinstance(usage, str) else usage
        changed = replace(self, usage=usage)
        if "groups" in self.__dict__:  # the pictures are the same
            changed.__dict__["groups"] = self.groups
        return changed

    def with_classes(self, class_names: Sequence[str]) -> "Dataset":
        """Map the labels to another class set.

        Args:
            class_names: Names of the new classes, in the order of their labels.

        Returns:
            A data set without the faces whose class is not in the new set.
        """
        if tuple(class_names) == self.class_names:
            return self
        labels = map_labels(self.labels, self.class_names, class_names)
        keep = labels >= 0
        return Dataset(self.pixels[keep], labels[keep], self.usage[keep], tuple(class_names))

    def counts(self) -> np.ndarray:
        """Count the faces per class.

        Returns:
            int64 (len(class_names),).
        """
        return np.bincount(self.labels, minlength=len(self.class_names))


def leave_out(problems: Sequence[str], skip_bad: bool) -> None:
    """Deal with the rows of a file that cannot be read: log and go on, or refuse the file.

    Args:
        problems: One line per bad row.
        skip_bad: Whether bad rows are left out.

    Raises:
        DatasetError: There are bad rows and `skip_bad` is false; the message is the first line.
    """
    if problems and not skip_bad:
        raise DatasetError(problems[0])
    warn_each(problems)


def join(datasets: Sequence[Dataset]) -> Dataset:
    """Concatenate data sets.

    Args:
        datasets: One or more data sets of the same class set.

    Returns:
        Their rows, in this order.

    Raises:
        DatasetError: The class sets differ.
    """
    names = {dataset.class_names for dataset in datasets}
    if len(names) != 1:
        raise DatasetError(f"data sets of different classes cannot be joined: {sorted(names)}")
    pixels, labels, usage = map(
        np.concatenate, zip(*[(d.pixels, d.labels, d.usage) for d in datasets], strict=True)
    )
    return Dataset(pixels, labels, usage, names.pop())


def split(dataset: Dataset, shares: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0) -> Dataset:
    """Split at random into Training, PublicTest and PrivateTest, stratified by class.

    Groups of exact copies are shuffled and assigned as a whole, so that no copy of a training picture
    is in another part. The same seed gives the same split.

    Args:
        dataset: The faces; their present usage is ignored.
        shares: Shares of the three parts, from 0 to 1, summing to 1.
        seed: Seed of the shuffle.

    Returns:
        The same rows in the same order, with the new usage.

    Raises:
        DatasetError: The shares do not sum to 1, or a part would have no face.
    """
    wanted = np.asarray(shares, float)
    if wanted.shape != (3,) or (wanted < 0).any() or abs(wanted.sum() - 1) > 1e-6:
        raise DatasetError(f"shares must be three numbers that add up to 1, got {wanted.tolist()}")
    parts = _assign(dataset, wanted, seed)
    for part in np.flatnonzero(wanted):
        if not (parts == part).any():
            raise DatasetError(
                f"{len(dataset)} faces are too few for shares {wanted.tolist()}: no {USAGES[part]}"
            )
    return dataset.with_usage(np.array(USAGES)[parts])


def held_out(dataset: Dataset, share: float = 0.1, seed: int = 0) -> np.ndarray:
    """Choose rows to hold out, for example to choose settings on; stratified, by groups of exact copies.

    Args:
        dataset: The faces, usually the Training rows.
        share: Share of the rows of each class, between 0 and 1.
        seed: Seed of the choice.

    Returns:
        A mask of the rows held out, bool (n,).

    Raises:
        DatasetError: The share is not between 0 and 1, or no row or all rows would be held out.
    """
    if not 0 < share < 1:
        raise DatasetError(f"the share must be between 0 and 1, got {share}")
    check_classes(dataset, 2)
    mask = _assign(dataset, np.array([1 - share, share]), seed) == 1
    if not mask.any() or mask.all():
        raise DatasetError(f"{len(dataset)} faces are too few to split off a share of {share}")
    return mask


def split_off(dataset: Dataset, share: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split into the rows that `held_out` leaves and those that it chooses; `usage` stays the same.

    Args:
        dataset: The faces.
        share: Share of the second part, between 0 and 1.
        seed: Seed of the choice.

    Returns:
        (rest, held-out part).
    """
    mask = held_out(dataset, share, seed)
    return dataset.select(~mask), dataset.select(mask)


def check_classes(dataset: Dataset, least: int = 2) -> None:
    """Check that each class has enough pictures to train and test on.

    Args:
        dataset: The faces.
        least: Pictures that each class must have; exact copies count once.

    Raises:
        DatasetError: A class has fewer, or only one class has any.
    """
    counts = [len(np.unique(dataset.groups[dataset.labels == k])) for k in range(len(dataset.class_names))]
    present = [name for name, count in zip(dataset.class_names, counts, strict=True) if count]
    if len(present) < 2:
        what = f"only {present[0]}" if present else "no face"
        known = f" of {', '.join(dataset.class_names)}" if len(dataset.class_names) > 1 else ""
        raise DatasetError(f"the data has {what}{known}; at least two classes are needed")
    few = [f"{name} {n}" for name, n in zip(dataset.class_names, counts, strict=True) if n < least]
    if few:
        raise DatasetError(
            f"too few pictures per class (at least {least}): {', '.join(few)}; collect more, or "
            "choose classes without these (--classes)"
        )


def _assign(dataset: Dataset, shares: np.ndarray, seed: int) -> np.ndarray:
    """Number of the part that each row goes to, int64 (n,); `shares` sum to 1."""
    if not len(dataset):
        return np.empty(0, np.int64)
    rng = np.random.default_rng(seed)
    # Copies may have different labels; a group counts for the label of most of its rows.
    votes = np.zeros((dataset.groups.max() + 1, dataset.labels.max() + 1), np.int64)
    np.add.at(votes, (dataset.groups, dataset.labels), 1)
    size, group_label = votes.sum(axis=1), votes.argmax(axis=1)
    part = np.zeros(len(size), np.int64)
    for label in np.unique(group_label):
        members = rng.permutation(np.flatnonzero(group_label == label))
        total = np.cumsum(size[members])
        middle = total - size[members] / 2
        part[members] = np.searchsorted(np.cumsum(shares)[:-1] * total[-1], middle, side="right")
        _fill_empty(part, members, shares)
    return part[dataset.groups]


def _fill_empty(part: np.ndarray, members: np.ndarray, shares: np.ndarray) -> None:
    """Give each empty part one group of a rare class, from the part with the most."""
    if len(members) < np.count_nonzero(shares):
        return
    for empty in np.flatnonzero(shares):
        held = np.bincount(part[members], minlength=len(shares))
        if held[empty] == 0:
            part[members[part[members] == held.argmax()][-1]] = empty
