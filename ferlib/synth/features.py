"""Eyes, brows and mouth: soft shapes laid over the colour of the skin."""

import numpy as np

from ferlib.synth.anatomy import HAIR_COLOURS, Face
from ferlib.synth.form import EYE, MOUTH, Head, Pose, mouth_corner
from ferlib.synth.grid import Shape, bell, curve, linear

_S = np.linspace(-1, 1, 25)
"""Positions along a lid or a lip, from corner to corner."""
_IVORY = np.array([0.56, 0.52, 0.46], np.float32)[:, None, None]
"""The colour of teeth, linear light."""


def eyes(head: Head) -> None:
    """Paint both eyes.

    Args:
        head: The head; its skin, gloss and shine are changed.
    """
    for side, strength in zip((-1, 1), head.pose.sides, strict=True):
        _eye(head, side, strength)


def _lids(face: Face, pose: Pose, strength: float) -> tuple[float, float]:
    """How far the upper and lower lid are from the level of the pupil, in mm."""
    own = pose.scaled(strength)
    upper = 4.3 + 4.2 * own[5] - 1.5 * own[7] - 1.0 * own[6] - 2.0 * own[9] - 0.5 * own[12] - 0.5 * own[4]
    if pose[15] and not pose[9]:  # heavy lids of sadness
        upper -= 2.4 * own[15] * (1 - pose[5])
    upper -= 0.012 * max(0.0, face.age - 40)
    lower = 4.9 + 0.9 * own[5] - 1.3 * own[6] - 1.5 * own[7] - 2.0 * own[9]
    return max(upper, 1.0) * face.eye_size, max(lower, 1.0) * face.eye_size


def _eye(head: Head, side: int, strength: float) -> None:
    grid, face, pose, skin = head.grid, head.face, head.pose, head.skin
    upper, lower = _lids(face, pose, strength)
    half, s = 14.6 * face.eye_size, _S  # s = 1 is the outer corner
    tilt = -np.tan(np.radians(face.eye_tilt)) * half * s
    top = tilt - upper * np.maximum(1 - np.abs(s + 0.08) ** 2.3, 0) ** 0.85 * (1 - 0.1 * s)
    low = tilt + lower * np.maximum(1 - np.abs(s - 0.1) ** 2.2, 0) ** 0.9
    u = side * EYE * face.eye_space + side * half * s
    # the fold above the lid, and the lid's own shade
    gap = (5.2 - 2.2 * pose[5] - 3.0 * face.fold + 0.8 * pose[1]) * (0.6 + 0.4 * min(1.0, upper / 4.3))
    crease = top - max(gap, 1.0) * (1 - 0.5 * s**2) - 0.5
    grid.band(u, crease, top, 1.0).dim(skin, 0.16 + 0.3 * face.makeup)
    grid.line(u[3:], crease[3:], 1.3, 0.7).dim(skin, 0.55 * (1 - 0.6 * face.fold))
    _eyeball(head, grid.band(u, top, low, 0.35), side, top)
    # lashes: the dark rim above and its outer end; the thin rim below
    lash = 0.82 + 0.15 * face.makeup
    grid.line(u, top - 0.3, 1.5 + 0.9 * face.makeup, 0.4).lay(skin, (0.012, 0.009, 0.008), lash)
    end_u, end_v = u[20:] + side * np.linspace(0, 2.2, 5), top[20:] - np.linspace(0, 1.2, 5)
    grid.line(end_u, end_v, 1.3, 0.5).lay(skin, (0.015, 0.01, 0.008), 0.6)
    grid.line(u[2:], low[2:] + 0.2, 0.9, 0.5).dim(skin, 0.38 + 0.3 * face.makeup)


def _eyeball(head: Head, opening: Shape, side: int, top: np.ndarray) -> None:
    """White, iris, pupil and catch light between the lids; `top` is the line of the upper lid."""
    face, skin, size, scale = head.face, head.skin, head.face.eye_size, head.grid.scale
    u, v = head.grid.at(opening)
    u = u - side * EYE * face.eye_space
    half = 14.6 * size
    white = linear((150, 145, 141)) * (0.3 + 0.7 * min(1.0, float(head.tone.mean()) / 0.4))
    opening.lay(skin, white)
    head.gloss[opening.region] *= 1 - opening.mask
    below_lid = np.maximum(v - np.interp(u[0] * side / half, _S, top).astype(np.float32)[None, :], 0)
    edge = np.exp(-below_lid / 2.8) * 0.7 + 0.4 * (np.abs(u) / half) ** 3
    opening.times(np.minimum(edge, 0.9)).dim(skin, 1.0)
    right, down = face.gaze
    distance = np.hypot(u - right, v - down + 0.4)
    pixel = 0.6 / scale + 0.3
    iris = opening.times(np.clip((6.1 * size - distance) / pixel + 0.5, 0, 1))
    iris.lay(skin, linear(face.iris))
    iris.times(np.clip((distance - 4.2 * size) / 1.8, 0, 1)).dim(skin, 0.55)
    iris.times(np.exp(-below_lid / 2.0)).dim(skin, 0.6)
    pupil = opening.times(np.clip((2.5 * size - distance) / pixel + 0.5, 0, 1))
    pupil.lay(skin, (0.004, 0.004, 0.004))
    spark = np.exp(-((u - right - 1.9) ** 2 + (v - down + 2.3) ** 2) / (2 * (0.9 + 0.3 / scale) ** 2))
    head.shine[opening.region] += 0.5 * (spark * opening.mask)


def _brow_line(face: Face, pose: Pose, side: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a brow from its inner end outwards: (u, v) in mm."""
    own = pose.scaled(strength)
    eye = EYE * face.eye_space
    u = np.array([eye - 19.5, eye - 8, eye + 6, eye + 20])
    v = np.array([-16.0, -18.5, -20.0, -15.0]) * face.brow_height
    v = v + np.array([-12.0, -6.5, 0.5, 5.0]) * own[1] + np.array([-1.0, -3.5, -7.0, -5.5]) * own[2]
    lower = own[4] * (1 - 0.55 * min(1.0, pose[1]))
    v = v + np.array([8.0, 6.0, 3.0, 0.5]) * lower + np.array([5.5, 4.5, 2.5, 0.5]) * own[9]
    v = v + np.array([0.5, 1.0, 1.5, 1.0]) * own[6]
    u = u - np.array([4.0, 3.0, 1.5, 0.5]) * own[4] - np.array([1.5, 1.0, 0.5, 0.0]) * own[9]
    return curve(side * u, v, 16)


def brows(head: Head) -> None:
    """Paint both brows, with their hairs.

    Args:
        head: The head; its skin and gloss are changed.
    """
    grid, face = head.grid, head.face
    # brows are darker than light hair
    shade = linear(HAIR_COLOURS[face.hair_colour]) * (0.55 if face.hair_colour < 4 else 0.3)
    hairs = 0.95 + 0.3 * head.noise(1.1, 2.4, least=1)
    width = np.interp(np.linspace(0, 1, 16), (0, 0.15, 0.55, 1), (2.8, 4.3, 3.5, 0.9)) * face.brow_thick
    for side, strength in zip((-1, 1), head.pose.sides, strict=True):
        u, v = _brow_line(face, head.pose, side, strength)
        region, mask = grid.band(u, v - width, v + width * 0.9, 0.9)
        head.gloss[region] *= 1 - mask
        Shape(region, np.clip(mask * hairs[region], 0, 1)).lay(head.skin, shade, 0.8)


def mouth(head: Head) -> np.ndarray:
    """Paint lips, teeth and the dark between them.

    Args:
        head: The head; its skin, gloss and shine are changed.

    Returns:
        Relief of the lips in mm, float32 (h, w).
    """
    grid, face, pose, skin = head.grid, head.face, head.pose, head.skin
    s, rest = _S, MOUTH * face.length
    corner_u, corner_v = mouth_corner(face, pose)
    uneven = 1 + (pose.sides[1] - 1) * np.sign(s) * np.abs(s)
    u = corner_u * s * (1 + 0.3 * (uneven - 1))
    pull = np.where(s < 0, pose.sides[0], pose.sides[1])
    line = rest - 1.5 * pose[15] + (corner_v - rest) * np.abs(s) ** 1.7 * (0.5 + 0.5 * pull)
    line = line + 0.4 * np.cos(2 * np.pi * s) * (1 - s**2)
    # how far the lips part: upwards of the line, and downwards of it
    part = pose[25]
    up = 1.5 * part + 7.5 * pose[12] * part + 4.0 * pose[9] * part + 4.0 * pose[26] * (1 - pose[20])
    up += 1.2 * pose[20] * part
    down = 3.0 * part + 19.0 * pose[26] + 5.0 * pose[16] * (0.3 + 0.7 * part) + 3.0 * pose[20] * part
    down += 4.8 * pose[12] * part
    parted = up + down > 0.8
    arch = np.maximum(1 - np.abs(s) ** 2.2, 0)
    lift = 4.5 * pose[9] * arch
    top = line - up * arch**0.8 - lift * part
    low = line + down * arch ** (0.55 if pose[26] > 0.4 and pose[12] < 0.4 else 0.8)
    line = line - 0.5 * lift
    thin = (1 - 0.28 * pose[12] - 0.5 * pose[23] - 0.15 * pose[20] - 0.12 * pose[9]) * face.lips
    bow = 1 - 0.22 * bell(s, 0, 0.12) + 0.05 * bell(np.abs(s), 0.25, 0.12)
    upper = 6.3 * thin * np.maximum(1 - np.abs(s) ** 1.8, 0) * bow
    lower = 8.6 * thin * np.maximum(1 - np.abs(s) ** 2.4, 0) * (1 - 0.12 * pose[26])
    lips = linear((160, 70, 70)) * 0.25 + head.tone * np.array([0.44, 0.25, 0.26], np.float32)
    lips = lips * (1 - 0.35 * face.makeup) + linear((150, 30, 44)) * 0.35 * face.makeup
    grid.band(u, top - upper - lift, low + lower, 0.7).lay(skin, lips, 0.88)
    relief = np.zeros(grid.shape, np.float32)
    upper_lip = grid.band(u, top - upper - lift, top, 0.8)
    upper_lip.dim(skin, 0.24)
    relief[upper_lip.region] += 2.0 * upper_lip.mask
    region, mask = grid.band(u, low, low + lower, 1.2)
    relief[region] += 2.6 * mask
    head.shine[region] += 0.05 * grid.blur(mask, 1.5) * face.lips
    if parted:
        _open_mouth(head, u, top, low)
    grid.line(u, top + 0.2 if parted else line, 1.4, 0.55).dim(skin, 0.3 if parted else 0.62)
    for k in (0, -1):  # the corners are dark
        grid.line(u[[k, k]], line[[k, k]] + [0, 0.6], 2.6, 1.0).dim(skin, 0.5)
    return grid.blur(relief, 1.0)


def _open_mouth(head: Head, u: np.ndarray, top: np.ndarray, low: np.ndarray) -> None:
    """The inside of the mouth. The upper teeth stay with the skull, the lower ones drop with the jaw."""
    grid, pose, skin, rest = head.grid, head.pose, head.skin, MOUTH * head.face.length
    opening = grid.band(u, top, low, 0.4)
    opening.lay(skin, (0.022, 0.009, 0.008))
    head.gloss[opening.region] *= 1 - opening.mask
    uu, vv = grid.at(opening)
    wide = float(np.abs(u).max())
    tongue = bell(uu, 0, wide * 0.5) * np.clip((vv - (rest + 0.75 * pose.jaw)) / 5, 0, 1)
    opening.times(tongue).lay(skin, (0.2, 0.05, 0.05), 0.7)
    arc = (uu / wide) ** 2
    between = 1 - 0.3 * (np.abs(((np.abs(uu) + 4.2) % 8.4) - 4.2) < 0.6)  # gaps of teeth 8.4 mm wide
    shade = np.clip(1.08 - 0.5 * arc, 0.15, 1) * between
    soft = 0.8 * grid.scale
    edge = rest + 1.2 + 3.2 * pose[12] - 5.5 * arc * pose[12] - 1.0 * arc
    upper = np.clip((edge - vv) * soft + 0.5, 0, 1)
    opening.times(upper).lay(skin, (0, 0, 0), 0.97)
    skin[(slice(None), *opening.region)] += opening.mask * upper * shade * _IVORY
    wet = np.float32(0.08 + 1.2 * float(head.tone.mean()))  # wet teeth outshine fair skin
    head.shine[opening.region] += wet * opening.mask * upper * shade
    lower = np.clip((vv - (rest + 2.2 + pose.jaw * 0.95 - 1.5 * arc)) * soft + 0.5, 0, 1)
    shown = min(1.0, pose[16] + 0.8 * pose[20])
    opening.times(lower).times(shown).lay(skin, shade * (_IVORY * 0.8), 0.85)
    top_v = np.interp(uu[0], np.sort(u), top).astype(np.float32)[None, :]
    opening.times(np.exp(-np.maximum(vv - top_v, 0) / 1.3)).dim(skin, 0.45)
