"""Hair, beards, head coverings and glasses."""

import numpy as np

from ferlib.synth.anatomy import HAIR_COLOURS, SKIN_TONES, Face
from ferlib.synth.features import dim, lay, linear
from ferlib.synth.form import EYE, MOUTH, Pose, mouth_corner
from ferlib.synth.grid import Grid, curve, noise

_LONG = ("bob", "long")
_DRAPE_U = np.array([82, 92, 84, 50, 0, -50, -84, -92, -82])  # the lower edge of a scarf, in mm
_DRAPE_V = np.array([90, 122, 134, 143, 145, 143, 134, 122, 90])


def _strands(grid: Grid, rng: np.random.Generator, face: Face) -> np.ndarray:
    """Brightness of single locks, about 1."""
    s = grid.scale
    if face.hair == "curly":
        return 1 + 0.35 * noise(rng, grid.shape, 4.5 * s, 4.5 * s)
    return 1 + 0.3 * noise(rng, grid.shape, 1.8 * s, 30 * s) + 0.2 * noise(rng, grid.shape, 7 * s, 60 * s)


def _fabric(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    s = grid.scale
    return 1 + 0.14 * noise(rng, grid.shape, 14 * s, 30 * s) + 0.05 * noise(rng, grid.shape, 1.5 * s, 1.5 * s)


def _arc(half: float, top: float, side: float, n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """The outline of a cap of hair from its lower left over the top to its lower right."""
    t = np.linspace(np.pi, 0, n)
    u, v = half * np.cos(t), -38 + (top + 38) * np.sin(t)
    return np.r_[-half + 1, u, half - 1], np.r_[side, v, side]


def behind(grid: Grid, rng: np.random.Generator, face: Face) -> list:
    """What lies behind the head, back to front: tuples (region, mask, colour planes, height in mm)."""
    layers = []
    if face.hair in _LONG:
        low = 92.0 if face.hair == "bob" else 140.0
        u, v = _arc(85 * face.width, -128, 10)
        u, v = (
            np.r_[u, 84, 80, 60, 40, -40, -60, -80, -84],
            np.r_[v, 50, low - 22, low - 3, low, low, low - 3, low - 22, 50],
        )
        region, mask = grid.polygon(u, v, 1.2)
        layers.append((region, mask, _hair_colour(grid, rng, face)[:, region[0], region[1]], -12.0))
    if face.hair == "bun":
        t = np.linspace(0, 2 * np.pi, 20)
        region, mask = grid.polygon(27 * np.cos(t), -126 + 22 * np.sin(t), 1.2)
        layers.append((region, mask, _hair_colour(grid, rng, face)[:, region[0], region[1]], 0.0))
    if face.hair == "scarf":
        u, v = _arc(88 * face.width, -130, 30)
        u, v = np.r_[u, _DRAPE_U], np.r_[v, _DRAPE_V]
        region, mask = grid.polygon(u, v, 1.2)
        cloth = linear(face.cloth)[:, None, None] * _fabric(grid, rng)[region]
        layers.append((region, mask, cloth, 0.0))
    return layers


def _hair_colour(grid: Grid, rng: np.random.Generator, face: Face) -> np.ndarray:
    return (0.7 * linear(HAIR_COLOURS[face.hair_colour])[:, None, None] * _strands(grid, rng, face)).clip(
        0.002, 1
    )


def before(grid: Grid, rng: np.random.Generator, face: Face, pose: Pose) -> list:
    """What lies over the head's skin: tuples (region, mask, colour planes, height above the skin in mm)."""
    if face.hair == "bald":
        return []
    if face.hair == "scarf":
        return [_scarf(grid, rng, face, pose)]
    if face.hair == "beanie":
        u, v = _arc(82 * face.width, -132, -40)
        low_u, low_v = curve(
            np.array([80, 45, 0, -45, -80]) * face.width, np.array([-40, -46, -49, -46, -40])
        )
        region, mask = grid.polygon(np.r_[u, low_u], np.r_[v, low_v], 0.8)
        ribs = 1 + 0.12 * np.sin(grid.u * 0.9) + 0.0 * grid.v
        cloth = linear(face.cloth)[:, None, None] * (_fabric(grid, rng) * ribs)[region]
        return [(region, mask, cloth.clip(0.002, 1), 7.0)]
    volume = {"crop": 1, "bun": 2, "curly": 9, "short": 5, "side": 6}.get(face.hair, 5)
    u, v = _arc((74 + volume) * face.width, -121 - volume * 1.3, {"crop": -6, "bun": -4}.get(face.hair, 8))
    bald = max(0.0, (face.age - 40) / 40) * 12 * (face.hair in ("crop", "short"))
    middle = {"fringe": -37.0, "side": -60.0, "curly": -60.0}.get(face.hair, -67.0) - bald
    edge_u = np.array([71, 67, 60, 36, 0, -36, -60, -67, -71]) * face.width
    temple = -22 if face.hair == "fringe" else -40
    edge_v = np.array([8, -8, temple, middle + 3, middle, middle + 3, temple, -8, 8])
    if face.hair in ("crop", "bun"):
        edge_v[[0, -1]] = -6
        edge_v[[1, -2]] = -14
    if face.hair == "side":
        edge_v = edge_v + np.array([0, 0, 12, 8, 2, -6, -6, 0, 0.0])
    if face.hair in _LONG:
        edge_u = np.array([70, 66, 62, 38, 0, -38, -62, -66, -70]) * face.width
        edge_v = np.array([80, 20, -30, -58, -70, -58, -30, 20, 80.0])
        u, v = _arc(83 * face.width, -126, 85)
    inner = curve(edge_u, edge_v, 36)
    region, mask = grid.polygon(np.r_[u, inner[0]], np.r_[v, inner[1]], 1.4)
    ragged = noise(rng, grid.shape, 2.0 * grid.scale, 9 * grid.scale)[region]
    if face.hair == "curly":
        ragged = noise(rng, grid.shape, 5 * grid.scale, 5 * grid.scale)[region] * 1.6
    mask = grid.blur(np.clip(mask + 0.25 * ragged * (mask > 0.02) * (mask < 0.98), 0, 1), 0.8)
    sparse = 0.86 if face.hair == "crop" else 0.97
    return [
        (region, mask * sparse, _hair_colour(grid, rng, face)[:, region[0], region[1]], 3.0 + volume * 0.5)
    ]


def _scarf(grid, rng, face, pose):
    t = np.linspace(0, 2 * np.pi, 40)
    rim = np.where(np.sin(t) < 0, -54.0, pose.chin + 1)
    inner_u = 65 * face.width * np.cos(t) * np.where(np.sin(t) > 0, 1 - 0.10 * np.sin(t) ** 2, 1)
    inner_v = 12 + np.abs(np.sin(t)) * (rim - 12)
    u, v = _arc(86 * face.width, -128, 60)
    u, v = np.r_[u, _DRAPE_U], np.r_[v, _DRAPE_V]
    region, outer = grid.polygon(u, v, 1.0)
    hole_at, hole = grid.polygon(inner_u, inner_v, 1.0)
    cover = np.zeros(grid.shape, np.float32)
    cover[region] = outer
    cover[hole_at] *= 1 - hole
    cloth = linear(face.cloth)[:, None, None] * _fabric(grid, rng)[region]
    return region, cover[region], cloth.clip(0.002, 1), 6.0


def beard(grid: Grid, colour: np.ndarray, rng: np.random.Generator, face: Face, pose: Pose) -> None:
    """A beard over the skin's `colour` (3, h, w)."""
    if face.beard == "none":
        return
    shade = linear(HAIR_COLOURS[face.hair_colour]) * 0.8
    texture = 0.85 + 0.3 * noise(rng, grid.shape, max(1, 1.2 * grid.scale), max(1, 3 * grid.scale))
    mouth_u, mouth_v = mouth_corner(face, pose)
    strength = {"stubble": 0.35, "moustache": 0.85, "goatee": 0.85, "full": 0.9}[face.beard]
    base, chin, lip = pose.nose_base, pose.chin, MOUTH * face.length
    above = lip - 7 - 2 * pose[9] - 2 * pose[12]
    below = lip + 12 + pose.jaw * 0.95
    cover = np.zeros(grid.shape, np.float32)

    def add(u, v, soft):
        region, mask = grid.polygon(u, v, soft)
        cover[region] = np.maximum(cover[region], mask)

    if face.beard in ("stubble", "moustache", "full", "goatee"):
        u = np.array([-mouth_u - 3, -14, 0, 14, mouth_u + 3, mouth_u, 10, 0, -10, -mouth_u])
        v = np.array(
            [mouth_v - 1, base + 7, base + 9, base + 7, mouth_v - 1, mouth_v - 3, above, above + 1, above, 0]
        )
        v[-1] = mouth_v - 3
        add(u, v, 1.8)
    if face.beard in ("stubble", "full"):
        half = 76 * face.width
        u = [
            -half,
            -half,
            -60,
            -34,
            0,
            34,
            60,
            half,
            half,
            58,
            38,
            mouth_u + 6,
            18,
            0,
            -18,
            -mouth_u - 6,
            -38,
            -58,
        ]
        v = [5, 60, 100, 126 + pose.jaw, 132 + pose.jaw, 126 + pose.jaw, 100, 60, 5, 28, 54, mouth_v + 1]
        v = np.array([*v, below, below - 1, below, mouth_v + 1, 54, 28])
        add(np.array(u), v, 4.5)
    if face.beard == "goatee":
        add(
            np.array([-mouth_u - 4, -18, 0, 18, mouth_u + 4, 16, 0, -16]),
            np.array([mouth_v + 2, below, below - 1, below, mouth_v + 2, chin - 2, chin + 2, chin - 2]), 2.5,
        )  # fmt: skip
    lay(colour, (slice(None), slice(None)), np.clip(cover * texture, 0, 1) * strength, shade)


def glasses(grid: Grid, colour: np.ndarray, face: Face) -> None:
    """Glasses over the finished, lit `colour` (3, h, w): frame, bridge, a faint veil on the panes."""
    if face.glasses == "none":
        return
    width, square, half, tall = {
        "thin": (1.3, 0.75, 24.0, 16.0),
        "round": (1.7, 1.0, 22.0, 20.0),
        "heavy": (2.6, 0.7, 25.0, 18.5),
    }[face.glasses]
    paint = (
        linear(face.cloth) * 0.04 if face.glasses == "heavy" else np.array([0.05, 0.045, 0.04], np.float32)
    )
    glint = (0.15 + 0.5 * float(linear(SKIN_TONES[face.skin]).mean())) * np.array(
        [0.95, 1.0, 1.05], np.float32
    )
    t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring_u = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** square * half
    ring_v = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** square * tall + 3
    for side in (-1, 1):
        at = side * (EYE * face.eye_space + 1.5)
        region, mask = grid.polygon(ring_u + at, ring_v, 0.8)
        veil = np.clip(0.05 + 0.1 * (grid.u[:, region[1]] - grid.v[region[0]] - at) / 40, 0, 0.12)
        lay(colour, region, mask * veil, glint)
        region, mask = grid.line(ring_u + at, ring_v + 2.5, width, 1.6, closed=True)
        dim(colour, region, mask, 0.3)
        region, mask = grid.line(ring_u + at, ring_v, width, 0.4, closed=True)
        lay(colour, region, mask * 0.92, paint)
        region, mask = grid.line(np.array([at + side * half, side * 74]), np.array([0.0, -3.0]), width, 0.4)
        lay(colour, region, mask * 0.9, paint)
    inner = EYE * face.eye_space + 1.5 - half
    region, mask = grid.line(*curve(np.array([-inner, 0, inner]), np.array([1.0, -2.5, 1.0]), 9), width, 0.4)
    lay(colour, region, mask * 0.9, paint)
