"""The parameters of a drawn face, the action units of its expression, and how both are sampled.

Action units (AU) are the movements of the Facial Action Coding System: P. Ekman and W. V. Friesen, "Facial Action
Coding System", Consulting Psychologists Press, 1978 (FACS). The units per expression are the prototypes of EMFACS,
its reduction to emotions (W. V. Friesen and P. Ekman, "EMFACS-7", 1983). FACS scores the intensity of a unit from
A (trace) to E (maximum); here it is a number: 0 is absent, 0.2 about A, 1 is E. Lengths are millimetres on an
adult face whose pupils are 63 mm apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferlib.common.errors import BadInputError, check_choice
from ferlib.common.labels import SEVEN, canonical

AU_NAMES = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    12: "lip corner puller",
    15: "lip corner depressor",
    16: "lower lip depressor",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
}
"""The action units that can be drawn: FACS number to FACS name."""

EMOTION_AUS = {
    "angry": {4: 1.0, 5: 0.6, 7: 0.9, 23: 1.0},
    "disgust": {9: 1.0, 15: 0.7, 16: 0.7},
    "fear": {1: 1.0, 2: 0.5, 4: 0.8, 5: 1.0, 20: 1.0, 26: 0.3},
    "happy": {6: 1.0, 12: 1.0},
    "sad": {1: 1.0, 4: 0.7, 15: 1.0},
    "surprise": {1: 1.0, 2: 1.0, 5: 1.0, 26: 1.0},
    "neutral": {},
}
"""The EMFACS prototype of each expression: action unit to intensity, 0 to 1."""

SKIN_TONES = (
    (247, 221, 204), (238, 203, 178), (226, 184, 152), (205, 158, 122),
    (178, 130, 96), (145, 101, 73), (118, 80, 58), (94, 63, 47),
)  # fmt: skip
"""Skin colours in white light, RGB 0 to 255, light to dark."""

HAIR_COLOURS = (
    (28, 23, 21), (48, 34, 26), (84, 57, 38), (122, 88, 56),  # blacks and browns
    (176, 140, 92), (214, 186, 140),  # blonds
    (128, 62, 34), (126, 122, 118), (186, 184, 180),  # red, gray, white
)  # fmt: skip
"""Hair colours, RGB 0 to 255."""

HAIR_STYLES = ("bald", "crop", "short", "side", "curly", "fringe", "bob", "long", "bun", "scarf", "beanie")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "thin", "round", "heavy")
BACKGROUNDS = ("studio", "wall", "window", "foliage", "bokeh", "shelves", "night")


@dataclass(frozen=True)
class Light:
    """One main light and the ambient light.

    Attributes:
        direction: From the face to the light: x to the right of the picture, y down, z to the camera.
        colour: Factors for red, green and blue.
        ambient: Share of the light that comes from everywhere, 0 to 1.
        hard: Depth of the cast shadows, 0 to 1.
    """

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    ambient: float
    hard: float


LIGHTS = {
    "front": Light((0.05, -0.25, 1.0), (1.00, 0.99, 0.97), 0.42, 0.25),
    "overcast": Light((0.0, -0.75, 0.8), (0.95, 0.98, 1.05), 0.60, 0.15),
    "window left": Light((-0.8, -0.25, 0.75), (1.00, 1.00, 1.02), 0.36, 0.45),
    "window right": Light((0.8, -0.25, 0.75), (1.00, 1.00, 1.02), 0.36, 0.45),
    "lamp": Light((-0.35, -0.6, 0.8), (1.12, 0.99, 0.82), 0.34, 0.50),
    "ceiling": Light((0.1, -0.9, 0.65), (1.03, 1.00, 0.94), 0.40, 0.45),
    "flash": Light((0.02, -0.08, 1.0), (1.00, 1.00, 1.00), 0.22, 0.30),
    "evening": Light((0.65, -0.15, 0.8), (1.15, 0.93, 0.74), 0.40, 0.40),
}
"""The lights by name."""


@dataclass(frozen=True)
class Face:
    """All parameters of one drawn face; the defaults are a plain face at rest.

    Attributes:
        emotion: Name of the expression. It is only a label: the picture follows `aus`.
        aus: Action unit to intensity, 0 to 1; units that are missing are 0.
        asymmetry: Which side moves more, -1 (the picture's right) to 1 (left).
        seed: Seed of what is random in the picture: skin texture, strands of hair, background, camera noise.
        yaw: Turn of the head in degrees; positive turns the nose to the right of the picture.
        pitch: Nod in degrees; positive is down.
        roll: Tilt in degrees; positive is clockwise.
        age: Years.
        skin: Index of `SKIN_TONES`.
        width: Width of the head. This and the next factors are relative to a mean face, about 0.8 to 1.2.
        jaw: Width of the lower half of the face, factor.
        length: Length of the lower half of the face, factor.
        eye_size: Size of the eyes, factor.
        eye_space: Distance of the eyes, factor.
        eye_tilt: How much higher the outer corner of the eye is, in degrees.
        fold: How far the crease of the upper lid is hidden, 0 to 1.
        nose_width: Width of the nose, factor.
        nose_length: Length of the nose, factor.
        mouth_width: Width of the mouth, factor.
        lips: Thickness of the lips, factor.
        brow_thick: Thickness of the brows, factor.
        brow_height: Height of the brows above the eyes, factor.
        iris: Colour of the iris, RGB 0 to 255.
        gaze: Shift of the pupils in mm (right, down).
        hair: One of `HAIR_STYLES`.
        hair_colour: Index of `HAIR_COLOURS`.
        beard: One of `BEARDS`.
        glasses: One of `GLASSES`.
        makeup: Strength of the make-up, 0 to 1.
        cloth: Colour of clothes, scarf and beanie, RGB 0 to 255.
        light: A name of `LIGHTS`.
        background: One of `BACKGROUNDS`.
        exposure: Brightness, factor.
        contrast: Contrast, factor.
        softness: Blur in thousandths of the width of the face box.
        noise: Standard deviation of the camera noise, in levels of 255.
        scale: Width of the face box as a share of the width of the picture.
        shift: Shift of the centre of the face box (right, down), as a share of the width of the picture.
    """

    emotion: str = "neutral"
    aus: Mapping[int, float] = field(default_factory=dict)
    asymmetry: float = 0.0
    seed: int = 0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    age: float = 32.0
    skin: int = 2
    width: float = 1.0
    jaw: float = 1.0
    length: float = 1.0
    eye_size: float = 1.0
    eye_space: float = 1.0
    eye_tilt: float = 3.0
    fold: float = 0.2
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    lips: float = 1.0
    brow_thick: float = 1.0
    brow_height: float = 1.0
    iris: tuple[int, int, int] = (84, 58, 38)
    gaze: tuple[float, float] = (0.0, 0.0)
    hair: str = "short"
    hair_colour: int = 1
    beard: str = "none"
    glasses: str = "none"
    makeup: float = 0.0
    cloth: tuple[int, int, int] = (70, 80, 110)
    light: str = "front"
    background: str = "studio"
    exposure: float = 1.0
    contrast: float = 1.2
    softness: float = 4.0
    noise: float = 2.5
    scale: float = 0.66
    shift: tuple[float, float] = (0.0, 0.0)


_CHOICES = {
    "skin": range(len(SKIN_TONES)),
    "hair": HAIR_STYLES,
    "hair_colour": range(len(HAIR_COLOURS)),
    "beard": BEARDS,
    "glasses": GLASSES,
    "light": LIGHTS,
    "background": BACKGROUNDS,
}


def check_face(face: Face) -> None:
    """Check the action units, names and indices of a face.

    Args:
        face: The face to check.

    Raises:
        BadInputError: An unknown action unit, name or index, or an intensity outside 0 to 1.
    """
    for unit, intensity in face.aus.items():
        check_choice("action unit", unit, AU_NAMES)
        if not 0 <= intensity <= 1:
            raise BadInputError(f"action unit {unit} has intensity {intensity!r}; give a number from 0 to 1")
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(face, name), choices)


def check_whole(what: str, value: int, low: int = 0, high: int | None = None) -> int:
    """Check that a value is a whole number in a range.

    Args:
        what: What the value is, for the message: "seed", "count".
        value: The value to check.
        low: The smallest number allowed.
        high: The largest number allowed; None for no limit.

    Returns:
        The value as an int.

    Raises:
        BadInputError: The value is not an integer, or is outside the range.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        limit = "up" if high is None else f"to {high}"
        raise BadInputError(f"{what} {value!r} is not a whole number from {low} {limit}")
    return int(value)


# Units that often accompany a prototype: (chance, unit, lowest, highest intensity).
_COMPANIONS: dict[str, tuple[tuple[float, int, float, float], ...]] = {
    "happy": ((0.92, 25, 0.7, 1.0), (0.35, 26, 0.1, 0.5)),
    "angry": ((0.45, 9, 0.3, 0.7),),
    "disgust": ((0.75, 25, 0.5, 1.0), (0.9, 4, 0.5, 1.0), (0.8, 7, 0.5, 1.0), (0.3, 6, 0.3, 0.6)),
    "fear": ((1.0, 25, 0.5, 1.0),),
    "sad": ((0.3, 25, 0.3, 0.7), (0.6, 7, 0.4, 0.9)),
    "surprise": ((1.0, 25, 0.5, 1.0),),
}


def sample_units(rng: np.random.Generator, emotion: str) -> dict[int, float]:
    """Sample the action units of one display of an expression.

    The prototype has 70 to 100 % of its intensity; each unit varies a little around it, and some units join that
    often accompany it (lips part in a smile).

    Args:
        rng: Source of the random numbers.
        emotion: One of the seven expressions.

    Returns:
        Action unit to intensity, 0 to 1.

    Raises:
        LabelError: An unknown emotion.
    """
    emotion = canonical(emotion, SEVEN)
    strength = rng.uniform(0.7, 1.0)
    units = {}
    for unit, level in EMOTION_AUS[emotion].items():
        units[unit] = float(np.clip(level * strength * rng.uniform(0.85, 1.1), 0, 1))
    for chance, unit, low, high in _COMPANIONS.get(emotion, ()):
        draw, level = rng.random(), rng.uniform(low, high)
        if draw < chance:
            units[unit] = max(units.get(unit, 0.0), level)
    if emotion == "angry" and rng.random() < 0.55:  # bared teeth or a shout instead of pressed lips
        units |= {23: 0.2, 25: rng.uniform(0.6, 1.0), 16: rng.uniform(0.5, 1.0), 9: rng.uniform(0.5, 0.9)}
        if rng.random() < 0.5:
            units[26] = rng.uniform(0.3, 0.8)
    return units


def sample_face(rng: np.random.Generator, emotion: str | None = None) -> Face:
    """Sample a face: person, expression, pose, light and camera.

    Args:
        rng: Source of the random numbers.
        emotion: One of the seven expressions; None samples it too.

    Returns:
        The face. The same state of `rng` gives the same face.

    Raises:
        LabelError: An unknown emotion.
    """
    emotion = canonical(emotion, SEVEN) if emotion is not None else SEVEN[int(rng.integers(7))]
    age = float(np.clip(rng.gamma(5.0, 7.5), 6, 82))
    skin = int(rng.integers(len(SKIN_TONES)))
    masculine = rng.random() < 0.5
    hair_colour = _sample_hair_colour(rng, skin, age)
    beard = "none"
    if masculine and age > 19 and rng.random() < 0.45:
        beard = BEARDS[int(rng.integers(1, 5))]
    iris = _IRISES[int(rng.integers(0, 2 if skin >= 4 else 6))]
    down = rng.uniform(0, 1.0) * (emotion == "sad")  # a sad face often looks down
    # the order of the arguments is the order in which the random numbers are drawn
    return Face(
        emotion=emotion,
        aus=sample_units(rng, emotion),
        asymmetry=rng.uniform(-1, 1),
        seed=int(rng.integers(2**31)),
        yaw=float(np.clip(rng.normal(0, 8), -20, 20)),
        pitch=float(np.clip(rng.normal(4 * down, 4.5), -12, 12)),
        roll=float(np.clip(rng.normal(0, 4), -10, 10)),
        age=age,
        skin=skin,
        **_sample_build(rng, age, masculine),
        iris=iris,
        gaze=(rng.normal(0, 0.7), rng.normal(0, 0.35) + 2.2 * down),
        hair=_sample_hair(rng, age, masculine),
        hair_colour=hair_colour,
        beard=beard,
        glasses=GLASSES[int(rng.integers(1, 4))] if rng.random() < 0.14 else "none",
        makeup=rng.random() * 0.8 if not masculine and age > 16 else 0.0,
        **_sample_scene(rng),
    )


_IRISES = ((70, 46, 30), (58, 40, 28), (100, 72, 44), (92, 104, 80), (92, 122, 148), (112, 118, 122))
_MASCULINE_HAIR = {"bald": 0.08, "crop": 0.22, "short": 0.25, "side": 0.15, "curly": 0.12, "beanie": 0.05,
                   "fringe": 0.08}  # fmt: skip
_FEMININE_HAIR = {"long": 0.28, "bob": 0.17, "bun": 0.14, "fringe": 0.12, "curly": 0.1, "side": 0.07,
                  "scarf": 0.08, "crop": 0.04}  # fmt: skip


def _sample_hair_colour(rng: np.random.Generator, skin: int, age: float) -> int:
    dark = skin >= 4 or rng.random() < 0.4
    colour = int(rng.integers(0, (2 if skin >= 5 else 3) if dark else 7))
    if age > 50 and rng.random() < (age - 45) / 35:
        colour = int(rng.integers(7, 9))
    return colour


def _sample_hair(rng: np.random.Generator, age: float, masculine: bool) -> str:
    chances = dict(_MASCULINE_HAIR if masculine else _FEMININE_HAIR)
    if masculine and age > 40:
        chances["bald"] += 0.12
    odds = np.array(list(chances.values()))
    return str(rng.choice(list(chances), p=odds / np.sum(odds)))


def _sample_build(rng: np.random.Generator, age: float, masculine: bool) -> dict[str, Any]:
    """The proportions of a head."""

    def around(spread: float) -> float:
        return float(np.clip(rng.normal(1.0, spread), 1 - 2.2 * spread, 1 + 2.2 * spread))

    child = max(0.0, (16 - age) / 12)
    return {
        "width": around(0.035) + 0.03 * child,
        "jaw": around(0.07) * (1.03 if masculine else 0.95) - 0.04 * child,
        "length": around(0.03) - 0.04 * child,
        "eye_size": around(0.06) + 0.14 * child,
        "eye_space": around(0.025),
        "eye_tilt": rng.normal(3, 2.5),
        "fold": rng.beta(0.8, 1.6),
        "nose_width": around(0.1),
        "nose_length": around(0.05) - 0.08 * child,
        "mouth_width": around(0.05) - 0.05 * child,
        "lips": around(0.14) * (0.92 if masculine else 1.08) * (1 - max(0, age - 45) / 120),
        "brow_thick": around(0.18) * (1.15 if masculine else 0.85) * (1 - 0.2 * child),
        "brow_height": around(0.09) * (0.94 if masculine else 1.05),
    }


def _sample_scene(rng: np.random.Generator) -> dict[str, Any]:
    """Clothes, light, background and camera."""
    return {
        "cloth": tuple(int(c) for c in 0.5 * rng.integers(20, 235, 3) + 0.5 * rng.integers(20, 225)),
        "light": list(LIGHTS)[int(rng.integers(len(LIGHTS)))],
        "background": BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))],
        "exposure": rng.uniform(0.85, 1.18),
        "contrast": rng.uniform(1.05, 1.4),
        "softness": rng.uniform(2.0, 8.0),
        "noise": rng.uniform(1.0, 5.0),
        "scale": rng.uniform(0.58, 0.74),
        "shift": (rng.uniform(-0.05, 0.05), rng.uniform(-0.04, 0.04)),
    }
