"""The shape of a head: where action units move its features, and its height towards the camera."""

from collections import defaultdict

import numpy as np

from ferlib.synth.anatomy import SKIN_TONES, Face
from ferlib.synth.grid import Grid, Numbers, Shape, bell, bells, curve, linear, noise, ramp

EYE, MOUTH, NOSE = 31.5, 69.0, 46.0
"""In mm from the point between the pupils: half their distance, the line of the lips, the base of the nose."""

# By v in mm: half the width of the head, and the height of its front above the plane of the ears
# (rough means of adults).
_OUTLINE = np.array([
    (-124, -8), (-121, 6), (-116, 22), (-107, 42), (-92, 58), (-72, 68), (-48, 72.5), (-15, 73), (10, 71), (35, 68),
    (58, 62), (76, 54), (91, 44), (103, 33), (109, 25.5), (113, 17), (115.5, 8), (116.5, 0), (119, -8),
], np.float32)  # fmt: skip
_DEPTH = np.array([
    (-121, 5), (-106, 40), (-86, 63), (-62, 75), (-30, 79), (-5, 75), (20, 76), (48, 80), (68, 82), (88, 79),
    (104, 79), (113, 70), (120, 48),
], np.float32)  # fmt: skip


class Pose:
    """Where the movable parts of a face are, from its action units and its build; `pose[unit]` is an intensity.

    Args:
        face: The face.

    Attributes:
        sides: Strength of the movements on the left and right of the picture, about 1.
        jaw: How far the lower jaw has dropped, in mm.
        chin: v of the chin in mm.
        nose_base: v of the base of the nose in mm.
        nose_half: Half the width of the nose in mm.
        cheek: How far the cheeks are raised, in mm.
    """

    def __init__(self, face: Face):
        self._units = defaultdict(float, {unit: float(value) for unit, value in face.aus.items()})
        self.sides = (1 + 0.12 * face.asymmetry, 1 - 0.12 * face.asymmetry)
        self.jaw = 21 * self[26] + 2.5 * self[25] + 2 * self[16]
        self.chin = 116 * face.length + 0.8 * self.jaw
        self.nose_base = NOSE * face.nose_length * face.length - 4.5 * self[9]
        self.nose_half = 17 * face.nose_width + 1.5 * self[12] + 2.0 * self[9]
        self.cheek = 5 * self[6] + 3 * self[12] + 3 * self[9]

    def __getitem__(self, unit: int) -> float:
        return self._units[unit]

    def scaled(self, strength: float) -> defaultdict[int, float]:
        """Scale all intensities, for one side of an asymmetric face.

        Args:
            strength: The factor.

        Returns:
            Action unit to intensity; 0 for units that are missing.
        """
        return defaultdict(float, {unit: value * strength for unit, value in self._units.items()})


class Head:
    """A head while it is painted: its parameters, and maps over the face plane that the painting changes.

    Args:
        face: The face; its seed is that of the random numbers.
        scale: Pixels per mm.

    Attributes:
        face: The face.
        pose: Its pose.
        grid: The pixels of the maps.
        rng: Source of the random numbers of the head.
        tone: Mean colour of the skin in linear light, (3,).
        skin: Colour of the face with eyes and mouth, but without hair, linear light, float32 (3, h, w).
        colour: Colour of all that is put together, linear light, float32 (3, h, w).
        height: Height towards the camera in mm, float32 (h, w).
        cover: Coverage, 0 to 1, float32 (h, w).
        gloss: Strength of the highlights, float32 (h, w).
        shine: Light that is added after shading, such as the catch lights of the eyes, float32 (h, w).
    """

    def __init__(self, face: Face, scale: float):
        self.face, self.pose = face, Pose(face)
        self.grid, self.rng = Grid(scale), np.random.default_rng(face.seed)
        self.tone = linear(SKIN_TONES[face.skin])
        self.skin, self.colour = np.zeros((2, 3, *self.grid.shape), np.float32)
        self.height = np.full(self.grid.shape, -25, np.float32)
        self.cover, self.gloss, self.shine = np.zeros((3, *self.grid.shape), np.float32)

    def noise(self, cell_x: float, cell_y: float | None = None, least: float = 0.0) -> np.ndarray:
        """Sample smooth noise over the grid.

        Args:
            cell_x: Width of its cells in mm.
            cell_y: Height of its cells in mm; None for square cells.
            least: The smallest size of a cell in pixels.

        Returns:
            Noise with a variance of about 1/2, float32 (h, w).
        """
        wide, high = (max(least, cell * self.grid.scale) for cell in (cell_x, cell_y or cell_x))
        return noise(self.rng, self.grid.shape, wide, high)

    def put(self, shape: Shape, colour: np.ndarray, height: float | np.ndarray) -> None:
        """Lay something over what has been put together so far.

        Args:
            shape: Where it is.
            colour: Linear light over the region of the shape, float32 (3, h, w).
            height: Height in mm, a number or float32 over the region.
        """
        region, mask = shape
        shape.lay(self.colour, colour)
        self.height[region] += mask * (height - self.height[region])
        self.cover[region] += mask * (1 - self.cover[region])


def _at_rest(v: np.ndarray, pose: Pose) -> np.ndarray:
    """Heights on the face at rest that a dropped jaw has moved to `v`."""
    return np.where(v > 55, 55 + (v - 55) * (116 - 55) / (pose.chin - 55), v)


def outline(head: Head, v: np.ndarray) -> np.ndarray:
    """Compute half the width of a head.

    Args:
        head: The head.
        v: Heights in mm, (n,).

    Returns:
        Half the width in mm, float32 (n,); negative above and below the head.
    """
    face, pose = head.face, head.pose
    rest = _at_rest(v, pose)
    half = np.interp(rest, _OUTLINE[:, 0], _OUTLINE[:, 1])
    lower = ramp(rest, 30, 85)
    cheeks = 1 + 0.02 * pose[12] * bell(rest, 35, 18)
    return (half * face.width * (1 + (face.jaw - 1) * lower) * cheeks).astype(np.float32)


def skull(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Compute the bare head, without its features.

    Args:
        head: The head.

    Returns:
        Height in mm and coverage 0 to 1, both float32 (h, w).
    """
    grid = head.grid
    v = grid.v[:, 0]
    half = grid.blur(outline(head, v)[:, None], 1.5)
    depth = np.interp(_at_rest(v, head.pose), _DEPTH[:, 0], _DEPTH[:, 1]).astype(np.float32)[:, None]
    across = np.minimum(np.abs(grid.u) / np.maximum(half, 0.5), 1.0)
    square = across * across
    height = depth * np.sqrt(np.maximum(1 - 0.35 * square - 0.65 * square * square, 0))
    cover = np.clip((half - np.abs(grid.u)) * grid.scale * 0.7 + 0.5, 0, 1)
    return height, grid.blur(cover, 0.7)


def relief(head: Head) -> np.ndarray:
    """Compute the relief of brow ridge, eye sockets, eyes, nose, cheeks, lips and chin on the head.

    Args:
        head: The head.

    Returns:
        Height above the bare head in mm, float32 (h, w).
    """
    grid, face, pose = head.grid, head.face, head.pose
    u, v = grid.u, grid.v
    build = 1.15 if face.brow_height < 1 else 0.9
    young = max(0.0, (16 - face.age) / 12)
    eye = EYE * face.eye_space
    z = 3.5 * build * (1 - young) * bells(u, 24, 14) * bell(v, -17 + 3 * pose[4] - 2 * pose[1], 6)
    z = z + 2.0 * pose[4] * bell(u, 0, 9) * bell(v, -12, 8)  # the muscle bunches between the brows
    z = z - 9.5 * bells(u, eye - 3, 14) * bell(v, -3, 9)
    z = z - 2.5 * bells(u, 13, 6.5) * bell(v, 0, 8)  # the inner corners are deep beside the nose
    z = z + 6.0 * bells(u, eye, 11) * bell(v, 0, 9)
    bags = 1.5 + 0.02 * max(0, face.age - 35) + 1.8 * pose[6] + pose[7]
    z = z + bags * bells(u, eye, 13) * bell(v, 13, 4)
    # the nose: a bridge that grows towards its tip, the wings, and a steep underside
    base, half = pose.nose_base, pose.nose_half
    bridge_v = (-14, -4, 8, base - 12, base - 6, base + 1, base + 8)
    bridge = np.interp(v[:, 0], bridge_v, (0, 2.5, 6, 14, 16, 10, 0))
    bridge = grid.blur(bridge.astype(np.float32)[:, None], 1.5)
    spread = np.interp(v[:, 0], (-14, 5, base - 10, base), (9.5, 8.0, half * 0.5, half * 0.6))[:, None]
    z = z + (1 - 0.25 * young) * bridge * np.exp(-0.5 * (u / spread) ** 2)
    z = z + 7.0 * bells(u, half * 0.72, half * 0.24) * bell(v, base - 5, 5)
    # cheeks rise and bulge with AU6 and AU12
    up = pose.cheek
    z = z + (3.0 + 1.4 * up) * bells(u, 38 * face.width, 14) * bell(v, 32 - 1.2 * up, 12)
    z = z + 2.5 * bells(u, 56 * face.width, 10) * bell(v, 14, 10)
    z = z - (1.5 + 0.03 * max(0, face.age - 30)) * bells(u, 52 * face.width, 10) * bell(v, 58, 16)
    # muzzle, the hollow below the lower lip, the chin
    low = pose.jaw
    z = z + 4.0 * bell(u, 0, 20) * bell(v, MOUTH - 3, 14)
    z = z - 2.0 * bell(u, 0, 2.5) * bell(v, (base + MOUTH - 6) / 2, 5)
    z = z - (3.0 + 1.5 * pose[15]) * bell(u, 0, 17) * bell(v, MOUTH + 17 + 0.9 * low, 5)
    z = z + (4.0 + 2.0 * pose[15]) * bell(u, 0, 15) * bell(v, pose.chin - 13 - 3 * pose[15], 8)
    return z.astype(np.float32)


def creases(head: Head) -> np.ndarray:
    """Compute the folds of the skin, which age and action units make.

    Args:
        head: The head.

    Returns:
        Depth in mm, about 0 to 2, float32 (h, w).
    """
    grid, face, pose = head.grid, head.face, head.pose
    depth = np.zeros(grid.shape, np.float32)
    old = float(np.clip((face.age - 28) / 40, 0, 1))
    base, half = pose.nose_base, pose.nose_half

    def fold(u: Numbers, v: Numbers, width: float, amount: float, soft: float) -> None:
        if amount > 0.05:
            region, mask = grid.line(*curve(u, v, 14), width, soft)
            depth[region] = np.maximum(depth[region], mask * np.float32(amount))

    mouth_u, mouth_v = mouth_corner(face, pose)
    eye = EYE * face.eye_space
    for side, strength in zip((-1, 1), pose.sides, strict=True):
        smile = max(pose[12] * strength, 1.0 * pose[9], 0.6 * pose[20], 0.35 * pose[15])
        reach = mouth_u + 7 + 3 * smile
        u = side * np.array([half - 1, half + 8 + 4 * smile, reach, reach - 2])
        v = np.array([base - 6 - 3 * pose[9], base + 5, mouth_v - 4, mouth_v + 8])
        fold(u, v, 3.0, 0.35 * old + 3.8 * smile + 0.12 * (face.age > 16), 2.7)
        u, v = side * np.array([mouth_u + 2, mouth_u + 4, mouth_u + 3]), mouth_v + np.array([1, 9, 18])
        fold(u, v, 1.8, 1.7 * pose[15] * strength + 0.5 * old * (1 - pose[12]), 1.3)
        u, v = (
            side * np.array([eye - 17, eye - 6, eye + 8]),
            np.array([8, 13.5, 13]) - np.array([0, 2, 2]) * pose[6],
        )
        fold(u, v, 1.4, 0.5 * old + 0.9 * pose[6] + 0.6 * pose[7] + 1.2 * pose[9] + 0.15, 1.0)
        for rise in (-7, 0, 7):  # crow's feet
            u, v = side * np.array([eye + 18, eye + 24, eye + 30]), rise * np.array([0.3, 0.7, 1.3])
            fold(u, v - np.array([1, 0, 0]), 0.9, (0.3 * old + 0.8 * pose[6] * (0.35 + old)) * strength, 0.6)
        u, v = side * np.array([4.5, 5.0, 6.5]), np.array([-4, -13, -23]) - 2 * pose[1]
        fold(u, v, 1.5, 2.3 * pose[4] * strength + 0.35 * old, 0.9)
        for k in range(3):  # the wrinkled nose of AU9
            fold(side * np.array([2, 7, 11]), np.array([4, 6, 11]) + 5 * k - 4, 1.4, 2.0 * pose[9], 0.9)
    inner, outer = pose[1], pose[2]
    span = 38 * max(outer, 0.45 * (inner > 0), 0.8 * (old > 0))
    u = np.linspace(-span, span, 7)
    for k, height in enumerate((-36, -45, -54)):  # across the forehead
        bow = height - 3 * inner * bell(u, 0, 15) - 2 * outer * bell(np.abs(u), 30, 12) + np.sin(u / 5 + k)
        fold(u, bow, 1.2, (0.75 + 0.5 * old) * max(inner, outer) + 0.4 * old, 0.9)
    chin_v = MOUTH + 18 + 0.9 * pose.jaw + np.array([2.5, 0, 2.5])
    fold(np.array([-9, 0, 9]), chin_v, 2.0, 0.4 + 0.8 * pose[23], 1.6)
    return depth


def mouth_corner(face: Face, pose: Pose) -> tuple[float, float]:
    """Compute the right corner of a symmetric mouth.

    Args:
        face: The face.
        pose: Its pose.

    Returns:
        u and v in mm.
    """
    u = 26 * face.mouth_width + 10.5 * pose[12] + 8 * pose[20] - 4 * pose[23] + 2 * pose[15] + 2 * pose[9]
    if pose[26] > 0:  # a dropping jaw pulls the corners in, unless they are stretched
        u -= 5.5 * pose[26] * (1 - max(pose[12], pose[20]))
    v = MOUTH * face.length - 11.5 * pose[12] + 10.5 * pose[15] + 2 * pose[20] + 0.3 * pose.jaw
    return u, v - 1.5 * pose[9]
