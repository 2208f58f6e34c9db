"""One head that is shaded, turned and laid over a picture.

The head is a height map over the face plane with a colour at each point. Its normals give the light (a Lambert
term that wraps a little round the edge, more so for red, as skin does; Blinn's highlight); the difference to the
blurred height map gives the shade of hollows; steps towards the light give cast shadows. Turning the head is a
search for the point of the map that lands on a pixel (parallax mapping with three steps).
"""

import cv2
import numpy as np

from ferlib.synth import features, hair
from ferlib.synth.anatomy import LIGHTS, Face
from ferlib.synth.backdrop import shoulders
from ferlib.synth.form import EYE, Head, creases, outline, relief, skull
from ferlib.synth.grid import LEFT, TOP, Shape, bell, bells, ramp

AXIS = 62.0
"""Depth of the axis about which the head turns, in mm, so that the face box stays where it is."""
BOX_MM = 170.0
"""Side of the face box in mm: about the square that OpenCV's frontal Haar cascade returns."""
BOX_CENTRE = 18.0
"""The v of the centre of the face box, in mm."""


def _bare_skin(head: Head) -> np.ndarray:
    """The colour of the skin in linear light, float32 (3, h, w)."""
    u, v, pose, (red, green, blue) = head.grid.u, head.grid.v, head.pose, head.tone
    blotch = 0.030 * head.noise(14) + 0.022 * head.noise(2.2)
    blotch += (0.02 + 0.0005 * head.face.age) * head.noise(1.1, least=1)
    flush = bells(u, 42, 14) * bell(v, 36 - pose.cheek, 14)
    flush = flush + 0.9 * bell(u, 0, 11) * bell(v, pose.nose_base - 8, 8)
    flush += 0.4 * bell(u, 0, 18) * bell(v, pose.chin - 14, 8)
    dark = (0.36 + 0.015 * head.face.skin) * bells(u, EYE, 15) * bell(v, -2, 10)
    dark = dark + 0.12 * bells(u, EYE - 10, 9) * bell(v, 10, 6)
    tone = (1 + blotch - dark).astype(np.float32)
    planes = [
        red * tone * (1 + 0.02 * flush),
        green * tone * (1 - 0.13 * flush),
        blue * tone * (1 - 0.12 * flush),
    ]
    return np.stack(planes).astype(np.float32)


def _nostrils(head: Head) -> None:
    base, half = head.pose.nose_base, head.pose.nose_half
    t = np.linspace(0, 2 * np.pi, 12)
    for side in (-1, 1):
        u = side * half * 0.42 + 3.2 * np.cos(t)
        v = base - 1.2 + 1.5 * np.sin(t) - 0.6 * np.cos(t) * side
        head.grid.polygon(u, v, 0.7).lay(head.skin, (0.02, 0.008, 0.006), 0.85)
        wing_u, wing_v = side * half * np.array([0.95, 1.04, 0.95]), base + np.array([-9.0, -4.0, 0.5])
        head.grid.line(wing_u, wing_v, 1.2, 0.8).dim(head.skin, 0.4)


def _put_neck_and_ears(head: Head) -> None:
    grid, face = head.grid, head.face
    neck = 47 * face.width * face.jaw
    low_u = np.array([-neck - 2, -neck, -0.6 * neck, 0, 0.6 * neck, neck, neck + 2])
    shape = grid.polygon(low_u, [70, 119, 134, 140, 134, 119, 70], 1.5)
    tube = np.sqrt(np.maximum(1 - (grid.at(shape)[0] / (neck + 14)) ** 2, 0))
    head.put(shape, head.skin[(slice(None), *shape.region)] * np.float32(0.9), 30 * tube - 12)
    edge = float(outline(head, np.array([8.0]))[0])
    t = np.linspace(0, 2 * np.pi, 16)
    reddish = np.array([0.95, 0.8, 0.8], np.float32)[:, None, None]
    for side in (-1, 1):
        shape = grid.polygon(side * (edge + 2 - 2 * np.sin(t)) + 8 * np.cos(t), 10 + 27 * np.sin(t), 1.0)
        head.put(shape, head.skin[(slice(None), *shape.region)] * reddish, 8.0)


def _draw_head(face: Face, scale: float) -> Head:
    head = Head(face, scale)
    hair.put_hair_behind(head)
    head.skin[:] = _bare_skin(head)
    _put_neck_and_ears(head)
    form, mask = skull(head)
    everywhere = (slice(None), slice(None))
    oily = 0.5 + 0.5 * min(1.0, 2.5 * float(head.tone.mean()))
    head.gloss[:] = mask * (0.6 + 0.4 * bell(head.grid.u, 0, 14)) * np.float32(oily)
    hair.beard(head)
    fold = creases(head)
    Shape(everywhere, np.minimum(fold, 4.0)).dim(head.skin, 0.13)
    lips = features.mouth(head)
    _nostrils(head)
    features.eyes(head)
    features.brows(head)
    form = form + relief(head) * ramp(form, 5, 45) + lips - 1.8 * fold
    head.put(Shape(everywhere, mask), head.skin, form)
    hair.put_hair(head)
    return head


def _turn(face: Face) -> np.ndarray:
    """The head's rotation by yaw and pitch, (3, 3), from head to camera."""
    a, b = np.radians(face.yaw), np.radians(face.pitch)
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    return pitch @ yaw


def _lit(head: Head) -> np.ndarray:
    """The colour under the light of the face, linear, float32 (3, h, w)."""
    grid, height, light = head.grid, head.height, LIGHTS[head.face.light]
    turn = _turn(head.face)
    aim = (turn.T @ (np.array(light.direction) / np.linalg.norm(light.direction))).astype(np.float32)
    half = aim + turn.T[:, 2].astype(np.float32)
    half /= np.linalg.norm(half)
    smooth = grid.blur(height, 0.7)
    nx = -cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=grid.scale / 8)
    ny = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=grid.scale / 8)
    inverse = 1 / np.sqrt(nx * nx + ny * ny + 1)
    facing = (nx * aim[0] + ny * aim[1] + aim[2]) * inverse
    wide, near = grid.blur(height, 11.0), grid.blur(height, 3.5)
    hollow = np.clip(1 - 0.02 * np.maximum(wide - height, 0) - 0.10 * np.maximum(near - height, 0), 0.25, 1)
    shadow = _cast_shadow(near, aim, grid.scale) * light.hard
    sky = 0.82 - 0.18 * ny * inverse
    ambient = 0.8 * light.ambient * sky * hollow
    key = (1 - light.ambient) * 1.45 * (1 - shadow) * (0.35 + 0.65 * hollow)
    lit = np.empty_like(head.colour)
    for k, wrap in enumerate((0.30, 0.20, 0.16)):
        diffuse = np.maximum(facing + wrap, 0) * np.float32(1 / (1 + wrap))
        lit[k] = head.colour[k] * (ambient + key * diffuse * np.float32(light.colour[k]))
    mirror = np.maximum((nx * half[0] + ny * half[1] + half[2]) * inverse, 0)
    for _ in range(3):
        mirror = mirror * mirror  # to the 8th; `**` would be slower and round differently
    glare = mirror * mirror * 0.09 + mirror * mirror * mirror * mirror * 0.08
    return lit + (glare * head.gloss * key + head.shine * 0.7)


def _cast_shadow(height: np.ndarray, aim: np.ndarray, scale: float) -> np.ndarray:
    """Where the head shades itself, 0 to 1: points on the way to the light that are higher than the ray."""
    small = cv2.resize(height, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    slope = float(aim[2]) / max(float(np.hypot(aim[0], aim[1])), 0.05)
    dark = np.zeros_like(small)
    if slope > 6:
        return np.zeros_like(height)
    way = aim[:2] / max(float(np.hypot(aim[0], aim[1])), 1e-6)
    for step in (5.0, 10.0, 16.0, 23.0):
        dx, dy = way * step * scale * 0.5
        shift = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
        moved = cv2.warpAffine(small, shift, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        np.maximum(dark, (moved - small - step * slope) * np.float32(0.12), out=dark)
    dark = np.minimum(dark, 1)
    return cv2.resize(cv2.GaussianBlur(dark, (0, 0), max(0.6, scale)), height.shape[::-1])


def paint_person(
    canvas: np.ndarray, rng: np.random.Generator, face: Face, centre: tuple[float, float], box: float
) -> None:
    """Lay head and shoulders over a picture; what is outside the picture is cut off.

    Args:
        canvas: Linear RGB, float32 (h, w, 3); it is changed.
        rng: Source of the random numbers for the clothes; those of the head come from the face's seed.
        face: The face.
        centre: Centre of the face box (x, y) in pixels.
        box: Side of the face box in pixels.
    """
    per_mm = box / BOX_MM
    shoulders(canvas, rng, face, centre, per_mm)
    head = _draw_head(face, float(np.clip(per_mm * 1.25, 0.42, 2.5)))
    lit = _lit(head)
    hair.glasses(head, lit)
    _project(canvas, head, lit, centre, per_mm)


def _project(
    canvas: np.ndarray, head: Head, lit: np.ndarray, centre: tuple[float, float], per_mm: float
) -> None:
    """Turn, scale and lay the lit head over the canvas."""
    reach = 172 * per_mm
    x0, x1 = max(0, int(centre[0] - reach)), min(canvas.shape[1], int(centre[0] + reach) + 1)
    y0, y1 = max(0, int(centre[1] - reach)), min(canvas.shape[0], int(centre[1] + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    a = np.radians(head.face.roll)
    x = ((np.arange(x0, x1, dtype=np.float32) + 0.5 - centre[0]) / per_mm)[None, :]
    y = ((np.arange(y0, y1, dtype=np.float32) + 0.5 - centre[1]) / per_mm)[:, None]
    u = (np.cos(a) * x + np.sin(a) * y).astype(np.float32)
    v = (-np.sin(a) * x + np.cos(a) * y + BOX_CENTRE).astype(np.float32)
    turn = _turn(head.face)
    height, cover = head.grid.blur(head.height, 3.0), head.cover
    inverse = np.linalg.inv(turn[:2, :2]).astype(np.float32)
    shift = turn[:2, 2].astype(np.float32)
    depth = np.zeros_like(u)
    pixel = np.float32(head.grid.scale)
    for _ in range(3):
        du, dv = u - shift[0] * depth, v - shift[1] * depth
        map_u, map_v = inverse[0, 0] * du + inverse[0, 1] * dv, inverse[1, 0] * du + inverse[1, 1] * dv
        map_x, map_y = (map_u - LEFT) * pixel - 0.5, (map_v - TOP) * pixel - 0.5
        depth = cv2.remap(height, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - AXIS
    planes = cv2.merge([*(lit * cover), cover])
    turned = cv2.remap(planes, map_x, map_y, cv2.INTER_LINEAR)
    part = canvas[y0:y1, x0:x1]
    part *= 1 - turned[:, :, 3:]
    part += turned[:, :, :3]
