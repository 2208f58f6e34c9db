"""Class sets and their order: the only place where one order of labels becomes another.

FER2013 numbers its classes in an order of its own (neutral is 6), folders sort alphabetically (neutral is 4), and
smaller tasks use some of the classes. A class set is a tuple of names; a label is an index into it.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np

from ferlib.common.errors import LabelError

SEVEN = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's seven classes in FER2013's order."""

SIX = ("angry", "fear", "happy", "sad", "surprise", "neutral")
"""System C's six: disgust is counted as angry."""

EIGHT = (*SEVEN, "contempt")
"""FER+'s eight: FER2013's seven and contempt, so that the first seven keep their numbers."""

REST = "rest"
"""In a set of two: every emotion except the other class."""

TOGETHER = "+"
"""Joins emotions that are one class: `happy+surprise`."""

_NAMED_SETS = {"eight": EIGHT, "seven": SEVEN, "six": SIX, "8": EIGHT, "7": SEVEN, "6": SIX}

_ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


def canonical(name: object, known: Sequence[str] = EIGHT) -> str:
    """Look up FER2013's name of an emotion: `"Happiness"` is `"happy"`.

    Args:
        name: Any common name, in any case.
        known: The names that are allowed.

    Returns:
        The name as FER2013 spells it.

    Raises:
        LabelError: The name is not known.
    """
    key = class_key(name)
    if key not in known:
        raise LabelError(f"unknown emotion {name!r}; known are {', '.join(known)}")
    return key


def class_key(name: object) -> str:
    """Spell the name of a class: FER2013's name of an emotion where it has one, else the name itself.

    Args:
        name: Any text, in any script.

    Returns:
        `"happy"` for `" Happiness"`, `"rest"` for `"REST"`; any other name in Unicode's composed form (NFC) without
        blanks around it.
    """
    text = unicodedata.normalize("NFC", str(name)).strip()
    key = _ALIASES.get(text.lower(), text.lower())
    return key if key in EIGHT or key == REST else text


def emotions_of(class_name: str) -> tuple[str, ...]:
    """List the emotions of a class.

    Args:
        class_name: A class of a set: one emotion or any other name, or a group such as `happy+surprise`.

    Returns:
        The emotions; () for `rest`.
    """
    return () if class_name == REST else tuple(class_name.split(TOGETHER))


def _class(text: object) -> str:
    """A class as a set spells it; the emotions of a group are in FER2013's order, other names after them."""
    if not isinstance(text, str):
        raise LabelError(f"a class is named by a text, got {text!r}")
    if class_key(text) == REST:
        return REST
    emotions = [class_key(part) for part in text.split(TOGETHER)]
    for name in emotions:
        _check_name(name, text)
    return TOGETHER.join(
        sorted(emotions, key=lambda name: EIGHT.index(name) if name in EIGHT else len(EIGHT))
    )


def _check_name(name: str, text: str) -> None:
    """A class is also a folder and a column: its name must be usable as both."""
    if not name or name == REST or len(name) > 60:
        raise LabelError(
            f"{text.strip()!r}: a class needs a name of 1 to 60 characters; 'rest' is a class of its own"
        )
    if name.startswith(".") or not name.isprintable() or set(name) & set('/\\,=:;"<>|?*'):
        raise LabelError(
            f"{name!r} cannot be the name of a class: it is also a folder and a column; use letters"
        )


def parse_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """Parse a class set.

    Args:
        classes: `"eight"`, `"seven"`, `"six"`, or two or more classes as a list or separated by commas:
            `"happy,neutral"` keeps the rows of these two, `"happy,rest"` is happy against all others,
            `"happy+surprise,angry+sad"` has two emotions in each class. Any other names are classes of their own:
            `"bored,attentive"`, `"高兴,伤心,中性"`.

    Returns:
        The class names; their order is the order of the labels.

    Raises:
        LabelError: A name is repeated (names that differ only by case or blanks are the same) or cannot be a class,
            or there are fewer than two classes.
    """
    if isinstance(classes, str) and classes.strip().lower() in _NAMED_SETS:
        return _NAMED_SETS[classes.strip().lower()]
    if not isinstance(classes, (str, Sequence)):
        raise LabelError(f"a class set is 'eight', 'seven', 'six' or names of classes, got {classes!r}")
    parts = classes.split(",") if isinstance(classes, str) else list(classes)
    if len(parts) < 2:
        raise LabelError(
            f"a class set needs at least two classes, got {classes!r}; try 'seven' or 'happy,neutral'"
        )
    names = tuple(_class(part) for part in parts)
    keys = [emotion.casefold() for name in names for emotion in emotions_of(name) or (REST,)]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise LabelError(f"a class is repeated in {classes!r}: {', '.join(repeated)}")
    return names


def label_of(emotion: object, class_names: Sequence[str]) -> int | None:
    """Find the label of an emotion in a class set.

    Args:
        emotion: The emotion, or another class's name. Disgust counts as angry in the set of SIX, in any order.
        class_names: The class set.

    Returns:
        The label; None where the set leaves that emotion out.
    """
    key = class_key(emotion).casefold() if isinstance(emotion, str) else ""
    if not key:
        return None
    names = [name.casefold() for name in class_names]
    for label, name in enumerate(names):
        if key == name or key in emotions_of(name):
            return label
    if key == "disgust" and _is_six(names):
        return names.index("angry")
    if REST in names:
        return names.index(REST)
    return None


def map_labels(labels: np.ndarray, from_names: Sequence[str], to_names: Sequence[str]) -> np.ndarray:
    """Map the labels of one class set to those of another.

    Args:
        labels: Integers of any shape, indices into `from_names`.
        from_names: The class set of the labels.
        to_names: The class set to map to.

    Returns:
        int64 of the same shape; -1 where the new set leaves an emotion out.

    Raises:
        LabelError: A label is outside `from_names`; the new set separates what the old one joins (there is no way
            back from `happy, rest` or `happy+surprise, sad` to seven classes); or the sets have no class in common.
    """
    labels = _whole_numbers(labels)
    bad = labels[(labels < 0) | (labels >= len(from_names))]
    if bad.size:
        raise LabelError(
            f"label {int(bad.flat[0])} is outside 0..{len(from_names) - 1} ({', '.join(from_names)})"
        )
    sources, targets = ({e for n in names for e in emotions_of(n)} for names in (from_names, to_names))
    if REST in from_names and not targets <= sources:
        raise LabelError(f"'rest' of {', '.join(from_names)} cannot be told apart into {', '.join(to_names)}")
    merged = label_of("disgust", to_names) == label_of("angry", to_names)
    if _is_six(from_names) and "disgust" in targets and not merged:
        raise LabelError("six classes count disgust as angry; they cannot be told apart again")
    mapped = np.array([_one_label(name, to_names) for name in from_names])
    if (mapped < 0).all():
        raise LabelError(
            f"the classes {', '.join(from_names)} have nothing in common with {', '.join(to_names)}; "
            "name the same classes, or map the names (--names bored=neutral)"
        )
    return mapped[labels]


def _one_label(class_name: str, to_names: Sequence[str]) -> int:
    """The label of another set's class, or -1; LabelError for a group whose emotions would be separated."""
    found = {label_of(emotion, to_names) for emotion in emotions_of(class_name) or (REST,)}
    if len(found) > 1:
        raise LabelError(f"{class_name!r} cannot be told apart into {', '.join(to_names)}")
    label = found.pop()
    return -1 if label is None else label


def pick_probabilities(
    probabilities: np.ndarray, from_names: Sequence[str], to_names: Sequence[str]
) -> np.ndarray:
    """Map rows of probabilities from one class set to another.

    Args:
        probabilities: (n, len(from_names)).
        from_names: The class set of the columns.
        to_names: The class set to map to.

    Returns:
        float64 (n, len(to_names)), each row scaled to a sum of one. A merged class (rest, or angry of SIX) gets
        the sum of its parts; classes that the new set leaves out are dropped.

    Raises:
        LabelError: The shape does not fit, or a class of `to_names` has no source.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(from_names):
        raise LabelError(f"expected rows of {len(from_names)} probabilities, got shape {probabilities.shape}")
    if tuple(from_names) == tuple(to_names):
        return probabilities
    target = map_labels(np.arange(len(from_names)), from_names, to_names)
    missing = [name for k, name in enumerate(to_names) if k not in target]
    if missing:
        raise LabelError(f"the model does not know {', '.join(missing)}; it knows {', '.join(from_names)}")
    picked = np.zeros((len(probabilities), len(to_names)))
    for column, k in enumerate(target):
        if k >= 0:
            picked[:, k] += probabilities[:, column]
    return picked / np.maximum(picked.sum(axis=1, keepdims=True), 1e-12)


def _is_six(names: Sequence[str]) -> bool:
    return set(names) == set(SIX) and len(names) == len(SIX)


def _whole_numbers(labels: np.ndarray) -> np.ndarray:
    """Labels as int64; LabelError for words, fractions and what is no number."""
    labels = np.asarray(labels)
    if labels.size == 0:
        return labels.astype(np.int64)
    if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.floor(labels)):
        raise LabelError(f"labels are whole numbers, got {labels.flat[0]!r} …")
    return labels.astype(np.int64)


def alphabetical(class_names: Sequence[str]) -> tuple[str, ...]:
    """Sort class names alphabetically, as Keras lists folders named after the classes.

    Args:
        class_names: The names.

    Returns:
        The names in alphabetical order.
    """
    return tuple(sorted(class_names))
