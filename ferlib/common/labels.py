"""Class sets and their order: the only place where one order of labels becomes another.

FER2013 numbers its classes in an order of its own (neutral is 6), folders sort by the alphabet
(neutral is 4), and smaller tasks use a part of the classes. A class set is a tuple of names; a
label is an index into it.
"""

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
"""In a two-class set: every emotion but the other class."""

TOGETHER = "+"
"""Stands between emotions that one class counts together: `happy+surprise`."""

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


def canonical(name: str, known: Sequence[str] = EIGHT) -> str:
    """FER2013's name of an emotion: `"Happiness"` gives `"happy"`; LabelError for one that is not `known`."""
    key = str(name).strip().lower()
    key = _ALIASES.get(key, key)
    if key not in known:
        raise LabelError(f"unknown emotion {name!r}; known are {', '.join(known)}")
    return key


def emotions_of(class_name: str) -> tuple[str, ...]:
    """The emotions of a class of a set: one, or those of a group. `rest` has no list of its own: ()."""
    return () if class_name == REST else tuple(class_name.split(TOGETHER))


def _class(text: str) -> str:
    """A class as it is written in a set; the emotions of a group stand in FER2013's order."""
    if str(text).strip().lower() == REST:
        return REST
    if "=" in str(text):
        raise LabelError(
            f"{str(text).strip()!r}: a class has no name of its own; join its emotions, as in "
            "'happy+surprise,angry+fear+sad'"
        )
    emotions = [canonical(part) for part in str(text).split(TOGETHER)]
    return TOGETHER.join(sorted(emotions, key=EIGHT.index))


def parse_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """The class names that a `CLASSES` parameter stands for.

    `classes` is `"eight"`, `"seven"`, `"six"`, or two or more classes as a list or with commas between:
    `"happy,neutral"` keeps the rows of these two, `"happy,rest"` sets happy against all others,
    `"happy+surprise,angry+sad"` counts two emotions as one class each.
    The order given is the order of the labels. Raises LabelError for unknown or repeated names.
    """
    if isinstance(classes, str) and classes.strip().lower() in _NAMED_SETS:
        return _NAMED_SETS[classes.strip().lower()]
    if not isinstance(classes, (str, Sequence)):
        raise LabelError(f"a class set is 'eight', 'seven', 'six' or names of emotions, got {classes!r}")
    parts = classes.split(",") if isinstance(classes, str) else list(classes)
    names = tuple(_class(part) for part in parts)
    if len(names) < 2:
        raise LabelError(
            f"a class set needs at least two classes, got {classes!r}; try 'seven' or 'happy,neutral'"
        )
    emotions = [emotion for name in names for emotion in emotions_of(name) or (REST,)]
    twice = [emotion for emotion in EIGHT if emotions.count(emotion) > 1]
    if twice or emotions.count(REST) > 1:
        raise LabelError(f"a class stands twice in {classes!r}: {', '.join(twice) or REST}")
    return names


def label_of(emotion: str, class_names: Sequence[str]) -> int | None:
    """The label of an emotion in a class set, or None where the set leaves that emotion out.

    Disgust counts as angry in the set of SIX, in any order. Raises LabelError for an unknown emotion.
    """
    name = emotion if emotion == REST else canonical(emotion)
    names = tuple(class_names)
    if name in names:
        return names.index(name)
    for label, class_name in enumerate(names):
        if name in emotions_of(class_name):
            return label
    if name == "disgust" and _is_six(names):
        return names.index("angry")
    if REST in names:
        return names.index(REST)
    return None


def map_labels(labels: np.ndarray, from_names: Sequence[str], to_names: Sequence[str]) -> np.ndarray:
    """Labels of one class set as labels of another: int64 of the same shape, -1 for a row left out.

    Raises LabelError for a label outside `from_names`, and where a set has classes that the other
    cannot tell apart (from `happy, rest` or `happy+surprise, sad` there is no way back to seven).
    """
    labels = _whole_numbers(labels)
    bad = labels[(labels < 0) | (labels >= len(from_names))]
    if bad.size:
        raise LabelError(
            f"label {int(bad.flat[0])} is outside 0..{len(from_names) - 1} ({', '.join(from_names)})"
        )
    known, wanted = ({e for n in names for e in emotions_of(n)} for names in (from_names, to_names))
    if REST in from_names and not wanted <= known:
        raise LabelError(f"'rest' of {', '.join(from_names)} cannot be told apart into {', '.join(to_names)}")
    merged = label_of("disgust", to_names) == label_of("angry", to_names)
    if _is_six(from_names) and "disgust" in wanted and not merged:
        raise LabelError("six classes count disgust as angry; they cannot be told apart again")
    return np.array([_one_label(name, to_names) for name in from_names])[labels]


def _one_label(class_name: str, to_names: Sequence[str]) -> int:
    """Where a class of another set goes, or -1; LabelError for a group whose emotions part ways."""
    found = {label_of(emotion, to_names) for emotion in emotions_of(class_name) or (REST,)}
    if len(found) > 1:
        raise LabelError(f"{class_name!r} cannot be told apart into {', '.join(to_names)}")
    label = found.pop()
    return -1 if label is None else label


def pick_probabilities(
    probabilities: np.ndarray, from_names: Sequence[str], to_names: Sequence[str]
) -> np.ndarray:
    """Columns of `to_names` from rows of probabilities over `from_names`, scaled to a sum of one.

    (n, len(from_names)) in, float64 (n, len(to_names)) out. A merged class (rest, or angry of SIX)
    gets the sum of its parts; classes left out are dropped. Raises LabelError where a class of
    `to_names` has no source.
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
    """The order in which folders named after the classes are listed (Keras' order)."""
    return tuple(sorted(class_names))
