"""Eyes, brows and mouth: soft shapes laid over the skin's colour."""

import numpy as np

from ferlib.synth.anatomy import HAIR_COLOURS, Face
from ferlib.synth.form import EYE, MOUTH, Pose, mouth_corner
from ferlib.synth.grid import Grid, bell, curve, noise

_S = np.linspace(-1, 1, 25)


def lay(colour: np.ndarray, region, mask: np.ndarray, paint) -> None:
    """Lay a paint (three numbers, linear light 0..1) over `colour` (3, h, w) where `mask` says."""
    for plane, value in zip(colour, paint, strict=True):
        part = plane[region]
        part += mask * (np.float32(value) - part)


def dim(colour: np.ndarray, region, mask: np.ndarray, share: float) -> None:
    """Darken `colour` by `share` where `mask` says."""
    colour[(slice(None), *region)] *= 1 - mask * np.float32(share)


def linear(rgb) -> np.ndarray:
    """RGB 0..255 as linear light 0..1 (a gamma of 2 stands for sRGB's curve; the camera undoes it)."""
    return (np.asarray(rgb, np.float32) / 255) ** 2


def lids(face: Face, pose: Pose, strength: float) -> tuple[float, float]:
    """How far the upper and lower lid stand from the pupil's level, in mm."""
    au = lambda unit: pose[unit] * strength  # noqa: E731
    upper = 4.3 + 4.2 * au(5) - 1.5 * au(7) - 1.0 * au(6) - 2.0 * au(9) - 0.5 * au(12) - 0.5 * au(4)
    if pose[15] and not pose[9]:  # heavy lids of sadness
        upper -= 2.4 * au(15) * (1 - pose[5])
    upper -= 0.012 * max(0.0, face.age - 40)
    lower = 4.9 + 0.9 * au(5) - 1.3 * au(6) - 1.5 * au(7) - 2.0 * au(9)
    return max(upper, 1.0) * face.eye_size, max(lower, 1.0) * face.eye_size


def eyes(
    grid: Grid,
    colour: np.ndarray,
    shine: np.ndarray,
    gloss: np.ndarray,
    face: Face,
    pose: Pose,
    skin: np.ndarray,
) -> None:
    """Both eyes over `colour` (3, h, w); catch lights go to `shine` (h, w)."""
    for side, strength in ((-1, pose.sides[0]), (1, pose.sides[1])):
        _eye(grid, colour, shine, gloss, face, pose, skin, side, strength)


def _eye(grid, colour, shine, gloss, face, pose, skin, side, strength):
    size, centre = face.eye_size, side * EYE * face.eye_space
    upper, lower = lids(face, pose, strength)
    half = 14.6 * size
    s = _S
    tilt = -np.tan(np.radians(face.eye_tilt)) * half * s  # s = 1 is the outer corner
    top = tilt - upper * np.maximum(1 - np.abs(s + 0.08) ** 2.3, 0) ** 0.85 * (1 - 0.1 * s)
    low = tilt + lower * np.maximum(1 - np.abs(s - 0.1) ** 2.2, 0) ** 0.9
    u = centre + side * half * s
    # the fold above the lid, and the lid's own shade
    gap = (5.2 - 2.2 * pose[5] - 3.0 * face.fold + 0.8 * pose[1]) * (0.6 + 0.4 * min(1.0, upper / 4.3))
    crease = top - max(gap, 1.0) * (1 - 0.5 * s**2) - 0.5
    region, mask = grid.polygon(np.r_[u, u[::-1]], np.r_[crease, top[::-1]], 1.0)
    dim(colour, region, mask, 0.16 + 0.3 * face.makeup)
    region, mask = grid.line(u[3:], crease[3:], 1.3, 0.7)
    dim(colour, region, mask, 0.55 * (1 - 0.6 * face.fold))
    # the opening: white, iris, pupil
    region, opening = grid.polygon(np.r_[u, u[::-1]], np.r_[top, low[::-1]], 0.35)
    rows, cols = region
    uu, vv = grid.u[:, cols] - centre, grid.v[rows]
    white = linear((150, 145, 141)) * (0.3 + 0.7 * min(1.0, float(skin.mean()) / 0.4))
    lay(colour, region, opening, white)
    gloss[region] *= 1 - opening
    lid_v = np.interp(uu[0] * side / half, s, top).astype(np.float32)[None, :]
    edge = np.exp(-np.maximum(vv - lid_v, 0) / 2.8) * 0.7 + 0.4 * (np.abs(uu) / half) ** 3
    dim(colour, region, opening * np.minimum(edge, 0.9), 1.0)
    gu, gv = face.gaze
    distance = np.hypot(uu - gu, vv - gv + 0.4)
    px = 0.6 / grid.scale + 0.3
    iris = np.clip((6.1 * size - distance) / px + 0.5, 0, 1) * opening
    tint = linear(face.iris)
    lay(colour, region, iris, tint)
    dim(colour, region, iris * np.clip((distance - 4.2 * size) / 1.8, 0, 1), 0.55)
    dim(colour, region, iris * np.exp(-np.maximum(vv - lid_v, 0) / 2.0), 0.6)
    pupil = np.clip((2.5 * size - distance) / px + 0.5, 0, 1) * opening
    lay(colour, region, pupil, (0.004, 0.004, 0.004))
    spark = (
        np.exp(-((uu - gu - 1.9) ** 2 + (vv - gv + 2.3) ** 2) / (2 * (0.9 + 0.3 / grid.scale) ** 2)) * opening
    )
    shine[region] += 0.5 * spark
    # lashes: the dark rim above, a thin one below; the pink corner
    region, mask = grid.line(u, top - 0.3, 1.5 + 0.9 * face.makeup, 0.4)
    lay(colour, region, mask * (0.82 + 0.15 * face.makeup), (0.012, 0.009, 0.008))
    region, mask = grid.line(
        u[20:] + side * np.linspace(0, 2.2, 5), top[20:] - np.linspace(0, 1.2, 5), 1.3, 0.5
    )
    lay(colour, region, mask * 0.6, (0.015, 0.01, 0.008))
    region, mask = grid.line(u[2:], low[2:] + 0.2, 0.9, 0.5)
    dim(colour, region, mask, 0.38 + 0.3 * face.makeup)


def brow_line(face: Face, pose: Pose, side: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a brow from its inner end outwards: (u, v) in mm."""
    au = lambda unit: pose[unit] * strength  # noqa: E731
    eye = EYE * face.eye_space
    u = np.array([eye - 19.5, eye - 8, eye + 6, eye + 20])
    v = np.array([-16.0, -18.5, -20.0, -15.0]) * face.brow_height
    v = v + np.array([-12.0, -6.5, 0.5, 5.0]) * au(1) + np.array([-1.0, -3.5, -7.0, -5.5]) * au(2)
    lower = au(4) * (1 - 0.55 * min(1.0, pose[1]))
    v = v + np.array([8.0, 6.0, 3.0, 0.5]) * lower + np.array([5.5, 4.5, 2.5, 0.5]) * au(9)
    v = v + np.array([0.5, 1.0, 1.5, 1.0]) * au(6)
    u = u - np.array([4.0, 3.0, 1.5, 0.5]) * au(4) - np.array([1.5, 1.0, 0.5, 0.0]) * au(9)
    return curve(side * u, v, 16)


def brows(
    grid: Grid, colour: np.ndarray, gloss: np.ndarray, rng: np.random.Generator, face: Face, pose: Pose
) -> None:
    """Both brows, with hairs, over `colour`."""
    shade = linear(HAIR_COLOURS[face.hair_colour]) * (
        0.55 if face.hair_colour < 4 else 0.3
    )  # brows are darker than light hair
    hairs = 0.95 + 0.3 * noise(rng, grid.shape, max(1.0, 1.1 * grid.scale), max(1.0, 2.4 * grid.scale))
    width = np.interp(np.linspace(0, 1, 16), (0, 0.15, 0.55, 1), (2.8, 4.3, 3.5, 0.9)) * face.brow_thick
    for side, strength in ((-1, pose.sides[0]), (1, pose.sides[1])):
        u, v = brow_line(face, pose, side, strength)
        region, mask = grid.polygon(np.r_[u, u[::-1]], np.r_[v - width, (v + width * 0.9)[::-1]], 0.9)
        gloss[region] *= 1 - mask
        lay(colour, region, np.clip(mask * hairs[region], 0, 1) * 0.8, shade)


def mouth(
    grid: Grid,
    colour: np.ndarray,
    shine: np.ndarray,
    gloss: np.ndarray,
    face: Face,
    pose: Pose,
    skin: np.ndarray,
) -> np.ndarray:
    """Lips, teeth and the dark between over `colour`; returns the lips' relief in mm, float32 (h, w)."""
    s = _S
    corner_u, corner_v = mouth_corner(face, pose)
    rest = MOUTH * face.length
    uneven = 1 + (pose.sides[1] - 1) * np.sign(s) * np.abs(s)
    u = corner_u * s * (1 + 0.3 * (uneven - 1))
    pull = np.where(s < 0, pose.sides[0], pose.sides[1])
    rest_line = rest - 1.5 * pose[15]
    line = (
        rest_line
        + (corner_v - rest) * np.abs(s) ** 1.7 * (0.5 + 0.5 * pull)
        + 0.4 * np.cos(2 * np.pi * s) * (1 - s**2)
    )
    arch = np.maximum(1 - np.abs(s) ** 2.2, 0)
    # how far the lips stand apart: upwards of the line, and downwards of it
    part = pose[25]
    up = (
        1.5 * part
        + 7.5 * pose[12] * part
        + 4.0 * pose[9] * part
        + 4.0 * pose[26] * (1 - pose[20])
        + 1.2 * pose[20] * part
    )
    down = 3.0 * part + 19.0 * pose[26] + 5.0 * pose[16] * (0.3 + 0.7 * part) + 3.0 * pose[20] * part
    down += 4.8 * pose[12] * part
    round_ = 0.55 if pose[26] > 0.4 and pose[12] < 0.4 else 0.8
    top = line - up * arch**0.8
    low = line + down * np.maximum(1 - np.abs(s) ** 2.2, 0) ** round_
    thin = (1 - 0.28 * pose[12] - 0.5 * pose[23] - 0.15 * pose[20] - 0.12 * pose[9]) * face.lips
    bow = 1 - 0.22 * bell(s, 0, 0.12) + 0.05 * bell(np.abs(s), 0.25, 0.12)
    upper = 6.3 * thin * np.maximum(1 - np.abs(s) ** 1.8, 0) * bow
    lower = 8.6 * thin * np.maximum(1 - np.abs(s) ** 2.4, 0) * (1 - 0.12 * pose[26])
    lift = 4.5 * pose[9] * arch
    top, line = top - lift * part, line - 0.5 * lift
    skin_lip = linear((160, 70, 70)) * 0.25 + skin * np.array([0.44, 0.25, 0.26], np.float32)
    skin_lip = skin_lip * (1 - 0.35 * face.makeup) + linear((150, 30, 44)) * 0.35 * face.makeup
    region, mask = grid.polygon(np.r_[u, u[::-1]], np.r_[top - upper - lift, (low + lower)[::-1]], 0.7)
    lay(colour, region, mask * 0.88, skin_lip)
    region, mask = grid.polygon(np.r_[u, u[::-1]], np.r_[top - upper - lift, top[::-1]], 0.8)
    dim(colour, region, mask, 0.24)
    form = np.zeros(grid.shape, np.float32)
    form[region] += 2.0 * mask
    region, mask = grid.polygon(np.r_[u, u[::-1]], np.r_[low, (low + lower)[::-1]], 1.2)
    form[region] += 2.6 * mask
    shine[region] += 0.05 * grid.blur(mask, 1.5) * face.lips
    if up + down > 0.8:
        _opening(grid, colour, shine, gloss, pose, float(skin.mean()), u, top, low, rest)
    region, mask = grid.line(u, (top + 0.2) if up + down > 0.8 else line, 1.4, 0.55)
    dim(colour, region, mask, 0.62 if up + down <= 0.8 else 0.3)
    for k in (0, -1):  # the corners are dark
        region, mask = grid.line(u[[k, k]], line[[k, k]] + [0, 0.6], 2.6, 1.0)
        dim(colour, region, mask, 0.5)
    return grid.blur(form, 1.0)


def _opening(grid, colour, shine, gloss, pose, skin, u, top, low, rest):
    """Inside of an open mouth. The upper teeth stay with the skull, the lower ones drop with the jaw."""
    region, opening = grid.polygon(np.r_[u, u[::-1]], np.r_[top, low[::-1]], 0.4)
    lay(colour, region, opening, (0.022, 0.009, 0.008))
    gloss[region] *= 1 - opening
    rows, cols = region
    uu, vv = grid.u[:, cols], grid.v[rows]
    wide = float(np.abs(u).max())
    tongue = bell(uu, 0, wide * 0.5) * np.clip((vv - (rest + 0.75 * pose.jaw)) / 5, 0, 1)
    lay(colour, region, opening * tongue * 0.7, (0.2, 0.05, 0.05))
    arc = (uu / wide) ** 2
    between = 1 - 0.3 * (np.abs(((np.abs(uu) + 4.2) % 8.4) - 4.2) < 0.6)  # gaps of teeth 8.4 mm wide
    shade = np.clip(1.08 - 0.5 * arc, 0.15, 1) * between
    ivory = np.array([0.56, 0.52, 0.46], np.float32)
    soft = 0.8 * grid.scale
    teeth = np.clip((rest + 1.2 + 3.2 * pose[12] - 5.5 * arc * pose[12] - 1.0 * arc - vv) * soft + 0.5, 0, 1)
    lay(colour, region, opening * teeth * 0.97, (0, 0, 0))
    for plane, value in zip(colour, ivory, strict=True):
        plane[region] += opening * teeth * shade * value
    shine[region] += np.float32(0.08 + 1.2 * skin) * opening * teeth * shade  # wet teeth outshine fair skin
    lower = np.clip((vv - (rest + 2.2 + pose.jaw * 0.95 - 1.5 * arc)) * soft + 0.5, 0, 1)
    lower = lower * opening * min(1.0, pose[16] + 0.8 * pose[20]) * 0.85
    for plane, value in zip(colour, ivory * 0.8, strict=True):
        part = plane[region]
        part += lower * (shade * value - part)
    top_v = np.interp(uu[0], np.sort(u), top).astype(np.float32)[None, :]
    dim(colour, region, opening * np.exp(-np.maximum(vv - top_v, 0) / 1.3), 0.45)
