"""Read faces in videos and from cameras: frames, tables, drawings, cells for notebooks, a web page, own faces."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".overlay": "draw_predictions",
        ".personal": "draw_person load_faces save_face",
        ".serve.server": "running_server",
        ".video": "frames write_video",
        ".video_faces": "video_table",
        ".widgets.camera": "CameraCell",
    },
)
