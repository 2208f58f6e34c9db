"""Facial expression recognition, from the first picture to the live camera.

Example:
    >>> import ferlib
    >>> recognizer = ferlib.load()
    >>> faces = recognizer.read("me.jpg")
    >>> faces[0].emotion, faces[0].probabilities
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferlib.model.recognise import Face, Recognizer, load

__all__ = ["Face", "Recognizer", "__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # OpenCV and the model are imported when they are first used: `import ferlib` is instant
    if name in ("Face", "Recognizer", "load"):
        from ferlib.model import recognise

        return getattr(recognise, name)
    raise AttributeError(f"module 'ferlib' has no attribute {name!r}")
