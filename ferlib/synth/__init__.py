"""Drawn faces: a shaded head whose expression follows facial action units (FACS), in colour, from a seed.

`sample_face` samples the parameters of a face, `draw_face` draws its picture, `draw_photo` a photo of several faces,
`film` a moving face, and `write_set` writes files. The same seed gives the same bytes. The tables of what can be
drawn (skin tones, hair, lights, …) are in `ferlib.synth.anatomy`.
"""

from ferlib.synth.anatomy import AU_NAMES, EMOTION_AUS, SKIN_TONES, Face, sample_face, sample_units
from ferlib.synth.draw import draw_face, draw_faces, face_box, sample_faces
from ferlib.synth.photo import draw_photo, film, write_set

__all__ = ["AU_NAMES", "EMOTION_AUS", "SKIN_TONES", "Face", "draw_face", "draw_faces", "draw_photo", "face_box",
           "film", "sample_face", "sample_faces", "sample_units", "write_set"]  # fmt: skip
