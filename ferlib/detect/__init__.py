"""Find faces in pictures: YuNet, or the Haar cascades that come with OpenCV."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(__name__, {".detector": "detect_faces load_detector"})
