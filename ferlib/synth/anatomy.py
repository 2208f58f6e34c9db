"""What a drawn face is made of: its parameters, action units, and how one is sampled.

The action units (AU) are those of the Facial Action Coding System, P. Ekman and W. V. Friesen, 1978
(FACS); the sets of units for each expression are the prototypes of EMFACS. Lengths are millimetres
on a grown face whose pupils lie 63 mm apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ferlib.common.errors import BadInputError
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
"""The action units that the drawing knows, each from 0 (rest) to 1 (as far as it goes)."""

EMOTION_AUS = {
    "angry": {4: 1.0, 5: 0.6, 7: 0.9, 23: 1.0},
    "disgust": {9: 1.0, 15: 0.7, 16: 0.7},
    "fear": {1: 1.0, 2: 0.5, 4: 0.8, 5: 1.0, 20: 1.0, 26: 0.3},
    "happy": {6: 1.0, 12: 1.0},
    "sad": {1: 1.0, 4: 0.7, 15: 1.0},
    "surprise": {1: 1.0, 2: 1.0, 5: 1.0, 26: 1.0},
    "neutral": {},
}
"""The prototype of each expression: action unit to intensity, 0 to 1."""

SKIN_TONES = (
    (247, 221, 204),
    (238, 203, 178),
    (226, 184, 152),
    (205, 158, 122),
    (178, 130, 96),
    (145, 101, 73),
    (118, 80, 58),
    (94, 63, 47),
)
"""Skin colours in plain light, RGB 0 to 255, light to dark."""

HAIR_COLOURS = (
    (28, 23, 21),
    (48, 34, 26),
    (84, 57, 38),
    (122, 88, 56),
    (176, 140, 92),
    (214, 186, 140),
    (128, 62, 34),
    (126, 122, 118),
    (186, 184, 180),
)
"""Hair colours, RGB 0 to 255: blacks, browns, blonds, red, gray, white."""

HAIR_STYLES = ("bald", "crop", "short", "side", "curly", "fringe", "bob", "long", "bun", "scarf", "beanie")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "thin", "round", "heavy")
BACKGROUNDS = ("studio", "wall", "window", "foliage", "bokeh", "shelves", "night")


@dataclass(frozen=True)
class Light:
    """One main light and what comes from all around.

    `direction` points from the face to the light: x to the picture's right, y down, z to the camera.
    `colour` multiplies RGB, `ambient` is the share of all-round light, `hard` the depth of cast shadows.
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
    """Every parameter of one drawn face; `draw_face` needs nothing else. All defaults together are plain.

    emotion: the name for its expression; it is a label only, the picture follows `aus`.
    aus: action unit to intensity 0..1; missing ones are 0. asymmetry: -1..1, which side moves more.
    seed: of everything random in the picture (skin texture, hair strands, background, camera noise).
    yaw, pitch, roll: degrees; yaw > 0 turns the nose to the picture's right, pitch > 0 down, roll > 0 clockwise.
    age: years. width … brow_height: factors (about 0.8 to 1.2) on a mean face; eye_tilt in degrees;
    fold: 0..1, how far the upper lid's crease is hidden. gaze: pupils' shift in mm (right, down).
    skin, hair_colour: indices of SKIN_TONES and HAIR_COLOURS; light, hair, beard, glasses, background: names.
    exposure, contrast: factors; softness: blur, in thousandths of the face's width; noise: of the camera, in levels.
    scale: width of the face box as a share of the picture's; shift: of the box's centre, as a share of the picture.
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


def check_face(face: Face) -> None:
    """BadInputError for an unknown action unit, intensity, name or index in a face."""
    for unit, value in face.aus.items():
        if unit not in AU_NAMES:
            raise BadInputError(f"unknown action unit {unit!r}; known are {', '.join(map(str, AU_NAMES))}")
        if not 0 <= value <= 1:
            raise BadInputError(f"action unit {unit} has intensity {value!r}; it must lie in 0..1")
    names = (
        ("light", LIGHTS),
        ("hair", HAIR_STYLES),
        ("beard", BEARDS),
        ("glasses", GLASSES),
        ("background", BACKGROUNDS),
    )
    for key, known in names:
        if getattr(face, key) not in known:
            raise BadInputError(f"unknown {key} {getattr(face, key)!r}; known are {', '.join(known)}")
    for key, table in (("skin", SKIN_TONES), ("hair_colour", HAIR_COLOURS)):
        if getattr(face, key) not in range(len(table)):
            raise BadInputError(f"{key} {getattr(face, key)!r} is outside 0..{len(table) - 1}")


def check_seed(seed: int) -> int:
    """The seed as an int; BadInputError for one that is not a whole number from 0 up."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise BadInputError(f"seed {seed!r} is not a whole number from 0 up")
    return int(seed)


# Units that often come with a prototype: (chance, unit, low, high). A smile shows teeth more often than not.
_COMPANIONS = {
    "happy": ((0.92, 25, 0.7, 1.0), (0.35, 26, 0.1, 0.5)),
    "angry": ((0.45, 9, 0.3, 0.7),),
    "disgust": ((0.75, 25, 0.5, 1.0), (0.9, 4, 0.5, 1.0), (0.8, 7, 0.5, 1.0), (0.3, 6, 0.3, 0.6)),
    "fear": ((1.0, 25, 0.5, 1.0),),
    "sad": ((0.3, 25, 0.3, 0.7), (0.6, 7, 0.4, 0.9)),
    "surprise": ((1.0, 25, 0.5, 1.0),),
    "neutral": (),
}


def sample_units(rng: np.random.Generator, emotion: str) -> dict[int, float]:
    """Action units of one showing of an expression: the prototype at 0.6..1 of its strength, with companions.

    `emotion` is one of the seven; LabelError for another.
    """
    emotion = canonical(emotion, SEVEN)
    strength = rng.uniform(0.7, 1.0)
    units = {}
    for unit, level in EMOTION_AUS[emotion].items():
        units[unit] = float(np.clip(level * strength * rng.uniform(0.85, 1.1), 0, 1))
    for chance, unit, low, high in _COMPANIONS[emotion]:
        draw, level = rng.random(), rng.uniform(low, high)
        if draw < chance:
            units[unit] = max(units.get(unit, 0.0), float(level))
    if emotion == "angry" and rng.random() < 0.55:  # bared teeth or a shout instead of pressed lips
        units[23] = 0.2
        units |= {
            25: float(rng.uniform(0.6, 1.0)),
            16: float(rng.uniform(0.5, 1.0)),
            9: float(rng.uniform(0.5, 0.9)),
        }
        if rng.random() < 0.5:
            units[26] = float(rng.uniform(0.3, 0.8))
    return units


def sample_face(rng: np.random.Generator, emotion: str | None = None) -> Face:
    """A face drawn by lot from `rng`; its expression too when `emotion` is None. LabelError for an unknown emotion."""
    emotion = canonical(emotion, SEVEN) if emotion is not None else SEVEN[int(rng.integers(7))]
    age = float(np.clip(rng.gamma(5.0, 7.5), 6, 82))
    skin = int(rng.integers(len(SKIN_TONES)))
    masculine = rng.random() < 0.5
    around = lambda spread: float(np.clip(rng.normal(1.0, spread), 1 - 2.2 * spread, 1 + 2.2 * spread))  # noqa: E731
    child = max(0.0, (16 - age) / 12)
    dark_hair = skin >= 4 or rng.random() < 0.4
    colour = int(rng.integers(0, 2 if skin >= 5 else 3)) if dark_hair else int(rng.integers(0, 7))
    if age > 50 and rng.random() < (age - 45) / 35:
        colour = int(rng.integers(7, 9))
    if masculine:
        styles, odds = (
            ("bald", "crop", "short", "side", "curly", "beanie", "fringe"),
            ((0.08 + (age > 40) * 0.12, 0.22, 0.25, 0.15, 0.12, 0.05, 0.08)),
        )
    else:
        styles, odds = (
            ("long", "bob", "bun", "fringe", "curly", "side", "scarf", "crop"),
            ((0.28, 0.17, 0.14, 0.12, 0.1, 0.07, 0.08, 0.04)),
        )
    odds = np.array(odds) / np.sum(odds)
    beard = "none"
    if masculine and age > 19 and rng.random() < 0.45:
        beard = BEARDS[int(rng.integers(1, 5))]
    irises = ((70, 46, 30), (58, 40, 28), (100, 72, 44), (92, 104, 80), (92, 122, 148), (112, 118, 122))
    iris = irises[int(rng.integers(0, 2))] if skin >= 4 else irises[int(rng.integers(0, 6))]
    down = float(rng.uniform(0, 1.0)) * (emotion == "sad")  # a sad face often looks down
    return Face(
        emotion=emotion,
        aus=sample_units(rng, emotion),
        asymmetry=float(rng.uniform(-1, 1)),
        seed=int(rng.integers(2**31)),
        yaw=float(np.clip(rng.normal(0, 8), -20, 20)),
        pitch=float(np.clip(rng.normal(4 * down, 4.5), -12, 12)),
        roll=float(np.clip(rng.normal(0, 4), -10, 10)),
        age=age,
        skin=skin,
        width=around(0.035) + 0.03 * child,
        jaw=around(0.07) * (1.03 if masculine else 0.95) - 0.04 * child,
        length=around(0.03) - 0.04 * child,
        eye_size=around(0.06) + 0.14 * child,
        eye_space=around(0.025),
        eye_tilt=float(rng.normal(3, 2.5)),
        fold=float(rng.beta(0.8, 1.6)),
        nose_width=around(0.1),
        nose_length=around(0.05) - 0.08 * child,
        mouth_width=around(0.05) - 0.05 * child,
        lips=around(0.14) * (0.92 if masculine else 1.08) * (1 - max(0, age - 45) / 120),
        brow_thick=around(0.18) * (1.15 if masculine else 0.85) * (1 - 0.2 * child),
        brow_height=around(0.09) * (0.94 if masculine else 1.05),
        iris=iris,
        gaze=(float(rng.normal(0, 0.7)), float(rng.normal(0, 0.35)) + 2.2 * down),
        hair=str(rng.choice(styles, p=odds)),
        hair_colour=colour,
        beard=beard,
        glasses=GLASSES[int(rng.integers(1, 4))] if rng.random() < 0.14 else "none",
        makeup=float(rng.random() * 0.8) if not masculine and age > 16 else 0.0,
        cloth=tuple(int(c) for c in 0.5 * rng.integers(20, 235, 3) + 0.5 * rng.integers(20, 225)),
        light=list(LIGHTS)[int(rng.integers(len(LIGHTS)))],
        background=BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))],
        exposure=float(rng.uniform(0.85, 1.18)),
        contrast=float(rng.uniform(1.05, 1.4)),
        softness=float(rng.uniform(2.0, 8.0)),
        noise=float(rng.uniform(1.0, 5.0)),
        scale=float(rng.uniform(0.58, 0.74)),
        shift=(float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.04, 0.04))),
    )
