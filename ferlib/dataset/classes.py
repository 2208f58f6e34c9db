"""The classes of a data set under its own names: made from the names that its folders and labels have."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ferlib.common.errors import DatasetError, LabelError, logger
from ferlib.common.labels import EIGHT, REST, class_key, map_labels, parse_classes
from ferlib.dataset.splits import Dataset

_MOST = 100  # more different names are not classes: a column of file names, for example


def own_classes(texts: Iterable[str], where: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Make a class set of the names that a data set uses.

    Args:
        texts: The names, in any script. Common names of FER2013's emotions are these emotions ("Happiness" is happy).
        where: What has these names, for messages.

    Returns:
        (the classes: FER2013's in its order, then the others sorted; the label of each text).

    Raises:
        DatasetError: Two names differ only by case or blanks, a name cannot be a class, or there are too many.
    """
    keys = {text: class_key(text) for text in texts}
    if len(set(keys.values())) > _MOST:
        raise DatasetError(f"{where}: {len(set(keys.values()))} different classes; at most {_MOST} are taken")
    spelled: dict[str, str] = {}
    for text, key in keys.items():
        other = spelled.setdefault(key.casefold(), text)
        if other != text and key not in EIGHT and other.strip() != text.strip():
            _refuse_same(where, other, text)
    classes = sorted(
        {key.casefold(): key for key in keys.values()}.values(),
        key=lambda key: (key == REST, EIGHT.index(key) if key in EIGHT else len(EIGHT), key),
    )
    try:
        names = parse_classes(classes) if len(classes) > 1 else parse_classes([*classes, "another"])[:1]
    except LabelError as error:
        raise DatasetError(f"{where}: {str(error)[:300]}") from error
    place = {name.casefold(): label for label, name in enumerate(classes)}
    return names, {text: place[key.casefold()] for text, key in keys.items()}


def _refuse_same(where: str, one: str, two: str) -> None:
    raise DatasetError(
        f"{where}: the classes {one[:60]!r} and {two[:60]!r} differ only by case or blanks; rename one of them"
    )


def check_spelling(texts: Sequence[str], where: str) -> None:
    """Check that no two names of one place differ only by case or blanks.

    Args:
        texts: The names, for example of the folders in one folder.
        where: What has these names, for the message.

    Raises:
        DatasetError: Two do.
    """
    seen: dict[str, str] = {}
    for text in texts:
        other = seen.setdefault(" ".join(text.split()).casefold(), text)
        if other != text:
            _refuse_same(where, other, text)


def rename_classes(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """Give classes other names; classes that get the same name become one.

    Args:
        dataset: The faces.
        names: Old name to new name, as `ferlib.common.labels.parse_names` gives it. An old name that the data set
            does not have is logged.

    Returns:
        The same faces; FER2013's classes come first, in its order.

    Raises:
        DatasetError: The new names cannot be a class set.
    """
    if not names:
        return dataset
    wanted = {class_key(old).casefold(): new for old, new in names.items()}
    present = {name.casefold() for name in dataset.class_names}
    unused = [old for old in names if class_key(old).casefold() not in present]
    if unused:
        logger.warning(
            "no class is called %s; the data has %s", ", ".join(unused), ", ".join(dataset.class_names)
        )
    renamed = [wanted.get(name.casefold(), name) for name in dataset.class_names]
    classes, label_of = own_classes(renamed, "the new names")
    labels = np.array([label_of[name] for name in renamed], np.int64)[dataset.labels]
    return Dataset(dataset.pixels, labels, dataset.usage, classes)


def choose_classes(dataset: Dataset, class_names: Sequence[str] | None) -> Dataset:
    """Map a data set to a class set, and log how many faces of other classes are left out.

    Args:
        dataset: The faces.
        class_names: The class set; None for the data set's own.

    Returns:
        The faces of these classes.

    Raises:
        LabelError: No class of the data set is among them, or classes would have to be told apart.
    """
    if class_names is None:
        return dataset
    mapped = map_labels(np.arange(len(dataset.class_names)), dataset.class_names, class_names)
    warn_left_out(dataset.select(mapped[dataset.labels] < 0), class_names)
    return dataset.with_classes(class_names)


def warn_left_out(dataset: Dataset, class_names: Sequence[str]) -> None:
    """Log how many faces are left out because they are of none of the chosen classes.

    Args:
        dataset: The faces that are left out; where there are none, nothing is logged.
        class_names: The chosen classes.
    """
    if len(dataset):
        counts = zip(dataset.class_names, dataset.counts().tolist(), strict=True)
        out = ", ".join(f"{count} of {name}" for name, count in counts if count)
        logger.warning("faces left out, not of the classes %s: %s", ", ".join(class_names), out)
