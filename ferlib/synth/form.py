"""The shape of a head: where its features stand when action units pull, and its height towards the camera."""

from dataclasses import dataclass

import numpy as np

from ferlib.synth.anatomy import Face
from ferlib.synth.grid import Grid, bell, curve, ramp

EYE, MOUTH, NOSE = 31.5, 69.0, 46.0
"""In mm below or beside the point between the pupils: half the pupils' distance, the lips' line, the nose's base."""

# Half the head's width by height, and its front's height above the ear plane (rough means of adults).
_OUTLINE = np.array(
    [(-124, -8), (-121, 6), (-116, 22), (-107, 42), (-92, 58), (-72, 68), (-48, 72.5), (-15, 73), (10, 71), (35, 68),
     (58, 62), (76, 54), (91, 44), (103, 33), (109, 25.5), (113, 17), (115.5, 8), (116.5, 0), (119, -8)],
    dtype=np.float32,
)  # fmt: skip
_DEPTH = np.array(
    [(-121, 5), (-106, 40), (-86, 63), (-62, 75), (-30, 79), (-5, 75), (20, 76), (48, 80), (68, 82), (88, 79),
     (104, 79), (113, 70), (120, 48)], dtype=np.float32
)  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """Where the movable parts stand, in mm: what action units and the face's own build make together."""

    sides: tuple[float, float]  # strength of the picture's left and right side
    units: dict
    jaw: float  # how far the lower jaw has dropped
    chin: float  # v of the chin
    nose_base: float
    nose_half: float
    cheek: float  # how far the cheeks are raised

    def __getitem__(self, unit: int) -> float:
        return self.units.get(unit, 0.0)


def pose_of(face: Face) -> Pose:
    """The pose of a face's movable parts."""
    units = {unit: float(value) for unit, value in face.aus.items()}
    au = units.get
    jaw = 21 * au(26, 0) + 2.5 * au(25, 0) + 2 * au(16, 0)
    return Pose(
        sides=(1 + 0.12 * face.asymmetry, 1 - 0.12 * face.asymmetry),
        units=units,
        jaw=jaw,
        chin=116 * face.length + 0.8 * jaw,
        nose_base=NOSE * face.nose_length * face.length - 4.5 * au(9, 0),
        nose_half=17 * face.nose_width + 1.5 * au(12, 0) + 2.0 * au(9, 0),
        cheek=5 * au(6, 0) + 3 * au(12, 0) + 3 * au(9, 0),
    )


def outline(face: Face, pose: Pose, v: np.ndarray) -> np.ndarray:
    """Half the width of the head at heights `v`, in mm; 0 above and below it."""
    rest = np.where(v > 55, 55 + (v - 55) * (116 - 55) / (pose.chin - 55), v)
    half = np.interp(rest, _OUTLINE[:, 0], _OUTLINE[:, 1])
    lower = ramp(rest, 30, 85)
    cheeks = 1 + 0.02 * pose[12] * bell(rest, 35, 18)
    return (half * face.width * (1 + (face.jaw - 1) * lower) * cheeks).astype(np.float32)


def head(grid: Grid, face: Face, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """The bare head: (height in mm, coverage 0..1), both float32 (h, w)."""
    v = grid.v[:, 0]
    half = outline(face, pose, v)
    half = grid.blur(half[:, None], 1.5)
    rest = np.where(v > 55, 55 + (v - 55) * (116 - 55) / (pose.chin - 55), v)
    depth = np.interp(rest, _DEPTH[:, 0], _DEPTH[:, 1]).astype(np.float32)[:, None]
    across = np.minimum(np.abs(grid.u) / np.maximum(half, 0.5), 1.0)
    square = across * across
    height = depth * np.sqrt(np.maximum(1 - 0.35 * square - 0.65 * square * square, 0))
    cover = np.clip((half - np.abs(grid.u)) * grid.scale * 0.7 + 0.5, 0, 1)
    return height, grid.blur(cover, 0.7)


def relief(grid: Grid, face: Face, pose: Pose) -> np.ndarray:
    """Brows' ridge, sockets, eyes, nose, cheeks, lips and chin on the head, in mm, float32 (h, w)."""
    u, v = grid.u, grid.v
    build = 1.15 if face.brow_height < 1 else 0.9
    young = max(0.0, (16 - face.age) / 12)
    eye = EYE * face.eye_space
    both = lambda at, spread: bell(u, -at, spread) + bell(u, at, spread)  # noqa: E731
    z = 3.5 * build * (1 - young) * both(24, 14) * bell(v, -17 + 3 * pose[4] - 2 * pose[1], 6)
    z = z + 2.0 * pose[4] * bell(u, 0, 9) * bell(v, -12, 8)  # the brows' muscle bunches between them
    z = z - 9.5 * both(eye - 3, 14) * bell(v, -3, 9)
    z = z - 2.5 * both(13, 6.5) * bell(v, 0, 8)  # the inner corners lie deep beside the nose
    z = z + 6.0 * both(eye, 11) * bell(v, 0, 9)
    z = z + (1.5 + 0.02 * max(0, face.age - 35) + 1.8 * pose[6] + pose[7]) * both(eye, 13) * bell(v, 13, 4)
    # the nose: a bridge that grows towards its tip, the wings, and a steep underside
    base, half = pose.nose_base, pose.nose_half
    bridge = np.interp(
        v[:, 0], (-14, -4, 8, base - 12, base - 6, base + 1, base + 8), (0, 2.5, 6, 14, 16, 10, 0)
    )
    bridge = grid.blur(bridge.astype(np.float32)[:, None], 1.5)
    spread = np.interp(v[:, 0], (-14, 5, base - 10, base), (9.5, 8.0, half * 0.5, half * 0.6))[:, None]
    z = z + (1 - 0.25 * young) * bridge * np.exp(-0.5 * (u / spread) ** 2)
    z = z + 7.0 * both(half * 0.72, half * 0.24) * bell(v, base - 5, 5)
    # cheeks rise and bulge with AU6 and AU12
    up = pose.cheek
    z = z + (3.0 + 1.4 * up) * both(38 * face.width, 14) * bell(v, 32 - 1.2 * up, 12)
    z = z + 2.5 * both(56 * face.width, 10) * bell(v, 14, 10)
    z = z - (1.5 + 0.03 * max(0, face.age - 30)) * both(52 * face.width, 10) * bell(v, 58, 16)
    # muzzle, the hollow below the lower lip, the chin
    low = pose.jaw
    z = z + 4.0 * bell(u, 0, 20) * bell(v, MOUTH - 3, 14)
    z = z - 2.0 * bell(u, 0, 2.5) * bell(v, (base + MOUTH - 6) / 2, 5)
    z = z - (3.0 + 1.5 * pose[15]) * bell(u, 0, 17) * bell(v, MOUTH + 17 + 0.9 * low, 5)
    z = z + (4.0 + 2.0 * pose[15]) * bell(u, 0, 15) * bell(v, pose.chin - 13 - 3 * pose[15], 8)
    return z.astype(np.float32)


def creases(grid: Grid, face: Face, pose: Pose) -> np.ndarray:
    """How deep the skin folds, in mm (about 0..2), float32 (h, w): age and action units draw the lines."""
    depth = np.zeros(grid.shape, np.float32)
    old = float(np.clip((face.age - 28) / 40, 0, 1))
    base, half = pose.nose_base, pose.nose_half

    def fold(u, v, width, amount, soft=0.8):
        if amount > 0.05:
            region, mask = grid.line(*curve(u, v, 14), width, soft)
            depth[region] = np.maximum(depth[region], mask * np.float32(amount))

    mouth_u, mouth_v = mouth_corner(face, pose)
    for side, strength in ((-1, pose.sides[0]), (1, pose.sides[1])):
        smile = max(pose[12] * strength, 1.0 * pose[9], 0.6 * pose[20], 0.35 * pose[15])
        reach = mouth_u + 7 + 3 * smile
        fold(
            side * np.array([half - 1, half + 8 + 4 * smile, reach, reach - 2]),
            np.array([base - 6 - 3 * pose[9], base + 5, mouth_v - 4, mouth_v + 8]),
            3.0, 0.35 * old + 3.8 * smile + 0.12 * (face.age > 16), 2.7,
        )  # fmt: skip
        fold(
            side * np.array([mouth_u + 2, mouth_u + 4, mouth_u + 3]),
            np.array([mouth_v + 1, mouth_v + 9, mouth_v + 18]),
            1.8, 1.7 * pose[15] * strength + 0.5 * old * (1 - pose[12]), 1.3,
        )  # fmt: skip
        eye = EYE * face.eye_space
        fold(
            side * np.array([eye - 17, eye - 6, eye + 8]),
            np.array([8, 13.5 - 2 * pose[6], 13 - 2 * pose[6]]),
            1.4, 0.5 * old + 0.9 * pose[6] + 0.6 * pose[7] + 1.2 * pose[9] + 0.15, 1.0,
        )  # fmt: skip
        crow = (0.3 * old + 0.8 * pose[6] * (0.35 + old)) * strength
        for rise in (-7, 0, 7):
            fold(side * np.array([eye + 18, eye + 24, eye + 30]), np.array([-1 + rise * 0.3, rise * 0.7, rise * 1.3]),
                 0.9, crow, 0.6)  # fmt: skip
        fold(side * np.array([4.5, 5.0, 6.5]), np.array([-4, -13, -23]) - 2 * pose[1], 1.5,
             2.3 * pose[4] * strength + 0.35 * old, 0.9)  # fmt: skip
        for k in range(3):  # the wrinkled nose of AU9
            fold(side * np.array([2, 7, 11]), np.array([4, 6, 11]) + 5 * k - 4, 1.4, 2.0 * pose[9], 0.9)
    lift = max(pose[1], pose[2])
    for k, v in enumerate((-36, -45, -54)):
        inner, outer = pose[1], pose[2]
        span = 38 * max(outer, 0.45 * (inner > 0), 0.8 * (old > 0))
        u = np.linspace(-span, span, 7)
        bow = v - 3 * inner * bell(u, 0, 15) - 2 * outer * bell(np.abs(u), 30, 12) + np.sin(u / 5 + k)
        fold(u, bow, 1.2, (0.75 + 0.5 * old) * lift + 0.4 * old, 0.9)
    fold(
        np.array([-9, 0, 9]),
        MOUTH + 18 + 0.9 * pose.jaw + np.array([2.5, 0, 2.5]),
        2.0,
        0.4 + 0.8 * pose[23],
        1.6,
    )
    return depth


def mouth_corner(face: Face, pose: Pose) -> tuple[float, float]:
    """The right mouth corner of an even mouth: (u, v) in mm."""
    u = 26 * face.mouth_width + 10.5 * pose[12] + 8 * pose[20] - 4 * pose[23] + 2 * pose[15] + 2 * pose[9]
    if pose[26] > 0:  # a dropping jaw pulls the corners in, unless they are stretched
        u -= 5.5 * pose[26] * (1 - max(pose[12], pose[20]))
    v = (
        MOUTH * face.length
        - 11.5 * pose[12]
        + 10.5 * pose[15]
        + 2 * pose[20]
        + 0.3 * pose.jaw
        - 1.5 * pose[9]
    )
    return u, v
