"""Label faces in pictures, read and write label files, score labels, and crop the labelled faces."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".agreement": "pair_labels",
        ".crop": "crop_regions",
        ".formats": "READERS WRITERS read_boxes write_boxes",
        ".formats.vott": "read_project write_vott",
        ".session": "LabelQueue",
        ".truth": "truth_table",
        ".widget": "Annotator",
    },
)
