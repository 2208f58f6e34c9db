"""Drawn faces: a shaded head whose expression follows facial action units, in colour, from a seed.

`sample_face` draws the parameters of a face by lot, `draw_face` makes its picture, `draw_photo` a whole
photo, `film` a moving face, `write_set` files. The same seed gives the same bytes.
"""

from ferlib.synth.anatomy import (
    AU_NAMES,
    BACKGROUNDS,
    BEARDS,
    EMOTION_AUS,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    LIGHTS,
    SKIN_TONES,
    Face,
    Light,
    sample_face,
    sample_units,
)
from ferlib.synth.draw import draw_face, draw_faces, face_box, sample_faces
from ferlib.synth.photo import Photo, PhotoFace, draw_photo, film, write_set

__all__ = [
    "AU_NAMES",
    "BACKGROUNDS",
    "BEARDS",
    "EMOTION_AUS",
    "GLASSES",
    "HAIR_COLOURS",
    "HAIR_STYLES",
    "LIGHTS",
    "SKIN_TONES",
    "Face",
    "Light",
    "Photo",
    "PhotoFace",
    "draw_face",
    "draw_faces",
    "draw_photo",
    "face_box",
    "film",
    "sample_face",
    "sample_faces",
    "sample_units",
    "write_set",
]
