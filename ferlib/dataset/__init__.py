"""Build, split, check, read and write data sets of 48×48 gray faces in the format of FER2013."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".build": "build_dataset from_drawn from_faces write_dataset",
        ".fer2013": "read_fer2013 write_fer2013",
        ".ferplus": "VOTES majority_labels soft_labels",
        ".splits": "Dataset join split",
    },
)
