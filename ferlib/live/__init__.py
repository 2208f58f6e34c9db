"""Expressions of the faces in a picture, in files and folders, in a film: the front door.

The detector and the model are loaded once by the caller and handed in.
"""

from ferlib.live.figures import write_chart
from ferlib.live.film import FilmReport, follow, predict_film, read_frames, read_video, video_table
from ferlib.live.folder import picture_files, predict_paths
from ferlib.live.tables import readings_rows, table_writer, write_table
from ferlib.live.tracking import Follower, Tracker, smooth
from ferlib.model.predictor import VIEWS, Predictor, face_views, for_classes, probabilities_of
from ferlib.model.recognise import RULES, FaceReading, read_faces, read_picture, system_a_faces

__all__ = [
    "RULES",
    "VIEWS",
    "FaceReading",
    "FilmReport",
    "Follower",
    "Predictor",
    "Tracker",
    "face_views",
    "follow",
    "for_classes",
    "picture_files",
    "predict_film",
    "predict_paths",
    "probabilities_of",
    "read_faces",
    "read_frames",
    "read_picture",
    "read_video",
    "readings_rows",
    "smooth",
    "system_a_faces",
    "table_writer",
    "video_table",
    "write_chart",
    "write_table",
]
