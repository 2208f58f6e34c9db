"""Hair, beards, head coverings and glasses."""

import numpy as np

from ferlib.synth.anatomy import HAIR_COLOURS
from ferlib.synth.form import EYE, MOUTH, Head, mouth_corner
from ferlib.synth.grid import Numbers, Shape, curve, linear, mirrored

_LONG = ("bob", "long")
_DRAPE_U = np.array([82, 92, 84, 50, 0, -50, -84, -92, -82])  # the lower edge of a scarf, in mm
_DRAPE_V = np.array([90, 122, 134, 143, 145, 143, 134, 122, 90])


def _hair_colour(head: Head, shape: Shape) -> np.ndarray:
    """The colour of hair with its strands, linear light (3, h, w)."""
    if head.face.hair == "curly":
        strands = 1 + 0.35 * head.noise(4.5)
    else:
        strands = 1 + 0.3 * head.noise(1.8, 30) + 0.2 * head.noise(7, 60)
    colour = 0.7 * linear(HAIR_COLOURS[head.face.hair_colour])[:, None, None] * strands[shape.region]
    return colour.clip(0.002, 1)


def _cloth_colour(head: Head, shape: Shape, ribs: float | np.ndarray = 1.0) -> np.ndarray:
    """The colour of a scarf or a beanie, linear light (3, h, w); `ribs` is the brightness of its weave."""
    fabric = 1 + 0.14 * head.noise(14, 30) + 0.05 * head.noise(1.5)
    return linear(head.face.cloth)[:, None, None] * (fabric[shape.region] * ribs)


def _arc(half: float, top: float, side: float, end: tuple[Numbers, Numbers]) -> tuple[np.ndarray, np.ndarray]:
    """The outline of a cap of hair from its lower left over the top to its lower right, then along `end` (u, v)."""
    t = np.linspace(np.pi, 0, 24)
    u, v = half * np.cos(t), -38 + (top + 38) * np.sin(t)
    return np.r_[-half + 1, u, half - 1, end[0]], np.r_[side, v, side, end[1]]


def put_hair_behind(head: Head) -> None:
    """Put the hair and cloth that are behind the head.

    Args:
        head: The head; its colour, height and cover are changed.
    """
    face, grid = head.face, head.grid
    if face.hair in _LONG:
        low = 92.0 if face.hair == "bob" else 140.0
        low_v = [50, low - 22, low - 3, low, low, low - 3, low - 22, 50]
        edge = _arc(85 * face.width, -128, 10, ([84, 80, 60, 40, -40, -60, -80, -84], low_v))
        shape = grid.polygon(*edge, 1.2)
        head.put(shape, _hair_colour(head, shape), -12.0)
    elif face.hair == "bun":
        t = np.linspace(0, 2 * np.pi, 20)
        shape = grid.polygon(27 * np.cos(t), -126 + 22 * np.sin(t), 1.2)
        head.put(shape, _hair_colour(head, shape), 0.0)
    elif face.hair == "scarf":
        shape = grid.polygon(*_arc(88 * face.width, -130, 30, (_DRAPE_U, _DRAPE_V)), 1.2)
        head.put(shape, _cloth_colour(head, shape), 0.0)


def put_hair(head: Head) -> None:
    """Put the hair or cloth that covers the head.

    Args:
        head: The head with its face; its colour, height, cover, gloss and shine are changed.
    """
    if head.face.hair == "scarf":
        _put_scarf(head)
    elif head.face.hair == "beanie":
        _put_beanie(head)
    elif head.face.hair != "bald":
        _put_top_hair(head)


def _put_over(head: Head, shape: Shape, colour: np.ndarray, thickness: float) -> None:
    """Put something that follows the skull and has no gloss."""
    u, v = head.grid.at(shape)
    skull = 72 * np.sqrt(np.maximum(1 - (u / 92) ** 2 - ((v + 30) / 108) ** 2, 0.0))
    head.put(shape, colour.clip(0.002, 1), np.maximum(head.height[shape.region], skull) + thickness)
    head.gloss[shape.region] *= 1 - shape.mask
    head.shine[shape.region] *= 1 - shape.mask


def _put_beanie(head: Head) -> None:
    width = head.face.width
    rim = curve(np.array([80, 45, 0, -45, -80]) * width, [-40, -46, -49, -46, -40])
    shape = head.grid.polygon(*_arc(82 * width, -132, -40, rim), 0.8)
    ribs = 1 + 0.12 * np.sin(head.grid.at(shape)[0] * 0.9)
    _put_over(head, shape, _cloth_colour(head, shape, ribs), 7.0)


def _put_scarf(head: Head) -> None:
    grid, width = head.grid, head.face.width
    t = np.linspace(0, 2 * np.pi, 40)
    rim = np.where(np.sin(t) < 0, -54.0, head.pose.chin + 1)
    inner_u = 65 * width * np.cos(t) * np.where(np.sin(t) > 0, 1 - 0.10 * np.sin(t) ** 2, 1)
    hole = grid.polygon(inner_u, 12 + np.abs(np.sin(t)) * (rim - 12), 1.0)
    region, mask = grid.polygon(*_arc(86 * width, -128, 60, (_DRAPE_U, _DRAPE_V)), 1.0)
    cover = np.zeros(grid.shape, np.float32)
    cover[region] = mask
    cover[hole.region] *= 1 - hole.mask
    shape = Shape(region, cover[region])
    _put_over(head, shape, _cloth_colour(head, shape), 6.0)


def _put_top_hair(head: Head) -> None:
    grid, face, style = head.grid, head.face, head.face.hair
    volume = {"crop": 1, "bun": 2, "curly": 9, "short": 5, "side": 6}.get(style, 5)
    if style in _LONG:
        half, top, side = 83 * face.width, -126.0, 85
        edge_u, edge_v = mirrored([0, 38, 62, 66, 70], [-70.0, -58, -30, 20, 80])
    else:
        half, top = (74 + volume) * face.width, -121 - volume * 1.3
        side = {"crop": -6, "bun": -4}.get(style, 8)
        receded = max(0.0, (face.age - 40) / 40) * 12 * (style in ("crop", "short"))
        middle = {"fringe": -37.0, "side": -60.0, "curly": -60.0}.get(style, -67.0) - receded
        temple = -22 if style == "fringe" else -40
        low = (-14, -6) if style in ("crop", "bun") else (-8, 8)
        edge_u, edge_v = mirrored([0, 36, 60, 67, 71], [middle, middle + 3, temple, *low])
        if style == "side":
            edge_v = edge_v + np.array([0, 0, -6, -6, 2, 8, 12, 0, 0])
    edge = curve(edge_u[::-1] * face.width, edge_v[::-1], 36)
    region, mask = grid.polygon(*_arc(half, top, side, edge), 1.4)
    ragged = head.noise(2, 9)[region]
    if style == "curly":
        ragged = head.noise(5)[region] * 1.6
    mask = grid.blur(np.clip(mask + 0.25 * ragged * (mask > 0.02) * (mask < 0.98), 0, 1), 0.8)
    shape = Shape(region, mask * (0.86 if style == "crop" else 0.97))
    _put_over(head, shape, _hair_colour(head, shape), 3.0 + volume * 0.5)


def beard(head: Head) -> None:
    """Paint the beard over the skin.

    Args:
        head: The head; its skin is changed.
    """
    grid, face, pose = head.grid, head.face, head.pose
    if face.beard == "none":
        return
    shade = linear(HAIR_COLOURS[face.hair_colour]) * 0.8
    texture = 0.85 + 0.3 * head.noise(1.2, 3, least=1)
    mouth_u, mouth_v = mouth_corner(face, pose)
    strength = {"stubble": 0.35, "moustache": 0.85, "goatee": 0.85, "full": 0.9}[face.beard]
    base, chin, lip = pose.nose_base, pose.chin, MOUTH * face.length
    above = lip - 7 - 2 * pose[9] - 2 * pose[12]
    below = lip + 12 + pose.jaw * 0.95
    cover = np.zeros(grid.shape, np.float32)

    def add(outer: tuple[np.ndarray, np.ndarray], inner: tuple[np.ndarray, np.ndarray], soft: float) -> None:
        """Cover the area from one line, left to right, to another."""
        region, mask = grid.polygon(np.r_[outer[0], inner[0][::-1]], np.r_[outer[1], inner[1][::-1]], soft)
        cover[region] = np.maximum(cover[region], mask)

    above_lip = mirrored((0, 14, mouth_u + 3), (base + 9, base + 7, mouth_v - 1))
    add(above_lip, mirrored((0, 10, mouth_u), (above + 1, above, mouth_v - 3)), 1.8)
    if face.beard in ("stubble", "full"):
        half, jaw = 76 * face.width, pose.jaw
        jaw_line = mirrored((0, 34, 60, half, half), (132 + jaw, 126 + jaw, 100, 60, 5))
        cheek_line = mirrored((0, 18, mouth_u + 6, 38, 58), (below - 1, below, mouth_v + 1, 54, 28))
        add(jaw_line, cheek_line, 4.5)
    if face.beard == "goatee":
        below_lip = mirrored((0, 18, mouth_u + 4), (below - 1, below, mouth_v + 2))
        add(below_lip, mirrored((0, 16), (chin + 2, chin - 2)), 2.5)
    everywhere = (slice(None), slice(None))
    Shape(everywhere, np.clip(cover * texture, 0, 1)).lay(head.skin, shade, strength)


def glasses(head: Head, lit: np.ndarray) -> None:
    """Draw the frame, the bridge and a faint reflection on the lenses.

    Args:
        head: The head.
        lit: Its colour under the light, linear, float32 (3, h, w); it is changed.
    """
    grid, face = head.grid, head.face
    if face.glasses == "none":
        return
    width, square, half, tall = {
        "thin": (1.3, 0.75, 24.0, 16.0),
        "round": (1.7, 1.0, 22.0, 20.0),
        "heavy": (2.6, 0.7, 25.0, 18.5),
    }[face.glasses]
    paint = linear(face.cloth) * 0.04 if face.glasses == "heavy" else np.array([0.05, 0.045, 0.04])
    brightness = 0.15 + 0.5 * float(head.tone.mean())
    glint = brightness * np.array([0.95, 1.0, 1.05], np.float32)
    t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring_u = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** square * half
    ring_v = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** square * tall + 3
    centre = EYE * face.eye_space + 1.5
    for side in (-1, 1):
        at = side * centre
        lens = grid.polygon(ring_u + at, ring_v, 0.8)
        u, v = grid.at(lens)
        lens.times(np.clip(0.05 + 0.1 * (u - v - at) / 40, 0, 0.12)).lay(lit, glint)
        grid.line(ring_u + at, ring_v + 2.5, width, 1.6, closed=True).dim(lit, 0.3)
        grid.line(ring_u + at, ring_v, width, 0.4, closed=True).lay(lit, paint, 0.92)
        grid.line([at + side * half, side * 74], [0.0, -3.0], width, 0.4).lay(lit, paint, 0.9)
    inner = centre - half
    grid.line(*curve([-inner, 0, inner], [1.0, -2.5, 1.0], 9), width, 0.4).lay(lit, paint, 0.9)
