"""Facial expression recognition, from the first picture to the live camera.

Example:
    >>> import ferlib
    >>> recognizer = ferlib.load()
    >>> faces = recognizer.read("me.jpg")
    >>> faces[0].emotion, faces[0].probabilities
"""

from typing import TYPE_CHECKING

from ferlib.common.lazy import lazy_attributes

if TYPE_CHECKING:
    from ferlib.common.errors import FerlibError
    from ferlib.common.images import face_input, load_image
    from ferlib.common.labels import parse_classes
    from ferlib.model.bundle import load_bundle, save_bundle
    from ferlib.model.predictor import for_classes
    from ferlib.model.recognise import Face, Recognizer, load

__all__ = ["Face", "FerlibError", "Recognizer", "__version__", "face_input", "for_classes", "load", "load_bundle",
           "load_dataset", "load_image", "parse_classes", "save_bundle"]  # fmt: skip

__version__ = "0.2.0"

# OpenCV and the model are imported when they are first used: `import ferlib` is instant
__getattr__ = lazy_attributes(
    __name__,
    {
        ".common.errors": "FerlibError",
        ".common.images": "face_input load_image",
        ".common.labels": "parse_classes",
        ".dataset.build": "load_dataset",
        ".model.bundle": "load_bundle save_bundle",
        ".model.predictor": "for_classes",
        ".model.recognise": "Face Recognizer load",
    },
)
