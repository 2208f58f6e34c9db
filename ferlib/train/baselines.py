"""What a network is to beat: always the same answer, and what was customary before networks, HOG with a linear SVM.

Both are used as a bundle is: `.name`, `.class_names`, `.predict(faces, flip)`.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferlib.common.errors import BundleError, DatasetError, ImageError
from ferlib.common.files import whole, write_text
from ferlib.dataset.fer2013 import SIDE
from ferlib.dataset.splits import Dataset

SVM_FILE = "svm.npz"
FEATURES = 900
"""Numbers that `hog` gives for a face: 5×5 blocks of 2×2 cells with 9 directions each."""


def hog(faces: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005): uint8 (n, 48, 48) to float32 (n, 900), 0 to 1.

    For each cell of 8×8 pixels: how much edge there is in each of nine directions, brought to a common
    strength within overlapping blocks of 2×2 cells, so that the light matters little.
    """
    faces = np.asarray(faces)
    if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (SIDE, SIDE):
        raise ImageError(f"faces must be uint8 (n, {SIDE}, {SIDE}), got {faces.dtype} {faces.shape}")
    import cv2

    descriptor = cv2.HOGDescriptor((SIDE, SIDE), (16, 16), (8, 8), (8, 8), 9)
    features = np.zeros((len(faces), FEATURES), np.float32)
    for row, face in zip(features, faces, strict=True):
        row[:] = descriptor.compute(np.ascontiguousarray(face)).ravel()
    return features


@dataclass(frozen=True)
class Svm:
    """A linear SVM on HOG: one plane a class; a face's side of it, and its distance, is that class' score.

    coef: float64 (classes, 900); intercept: float64 (classes,).
    """

    name: str
    class_names: tuple[str, ...]
    coef: np.ndarray
    intercept: np.ndarray
    metadata: dict = field(default_factory=dict)

    def scores(self, faces: np.ndarray) -> np.ndarray:
        """Signed distances from each class' plane, in units of its margin: float64 (n, classes)."""
        return hog(faces) @ self.coef.T + self.intercept

    def predict(self, faces: np.ndarray, flip: bool = False) -> np.ndarray:
        """uint8 (n, 48, 48) to rows that sum to one, float64 (n, classes).

        With `flip` the mean of the face and its mirror image. The softmax of the scores:
        its order is the SVM's, its values are not calibrated probabilities.
        """
        scores = self.scores(faces)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        result = powers / powers.sum(axis=1, keepdims=True)
        return (result + self.predict(faces[:, :, ::-1])) / 2 if flip else result


def fit_svm(rows: Dataset, seed: int = 7, C: float = 0.01) -> Svm:
    """scikit-learn's LinearSVC, one class against the rest, on the HOG of the Training rows of a data set.

    `C` is what a face on the wrong side of its margin costs; 0.01 was as good as 0.1 on FER2013 (45.8
    and 46.0 % of PublicTest) and quicker. Raises DatasetError for rows of fewer than two classes.
    """
    from sklearn.svm import LinearSVC

    rows = rows.part("Training")
    there = np.unique(rows.labels)
    if len(there) < 2:
        raise DatasetError(
            f"{len(rows)} Training rows of {len(there)} classes; an SVM needs two classes or more"
        )
    fitted = LinearSVC(C=C, random_state=seed).fit(hog(rows.pixels), rows.labels)
    coef, intercept = fitted.coef_, fitted.intercept_
    if len(there) == 2:  # scikit-learn gives the second class' plane only; the first one's is its reverse
        coef, intercept = np.vstack([-coef, coef]), np.append(-intercept, intercept)
    n_classes = len(rows.class_names)
    all_coef, all_intercept = (
        np.zeros((n_classes, FEATURES)),
        np.full(n_classes, -1e9),
    )  # no rows: never chosen
    all_coef[there], all_intercept[there] = coef, intercept
    facts = {"training_rows": len(rows), "settings": {"network": "HOG + linear SVM", "C": C, "seed": seed}}
    return Svm("hog-svm", rows.class_names, all_coef, all_intercept, facts)


def save_svm(svm: Svm, folder: str | os.PathLike, source: str, seconds: float) -> Path:
    """Write `svm.npz` and `metadata.json` to a folder; `source` names the data, `seconds` is what the fit took."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / SVM_FILE) as part:
        np.savez(part, coef=svm.coef, intercept=svm.intercept)
    metadata = {
        "name": folder.name,
        "class_names": list(svm.class_names),
        "input_shape": [SIDE, SIDE, 1],
        "parameters": svm.coef.size + svm.intercept.size,
        "data": {"source": source, "training_rows": svm.metadata["training_rows"]},
        "settings": svm.metadata["settings"],
        "seconds": round(seconds, 1),
    }
    write_text(folder / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    return folder


def load_svm(folder: str | os.PathLike) -> Svm:
    """Read what `save_svm` wrote; BundleError where it cannot be read or does not fit together."""
    folder = Path(folder)
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        names = tuple(metadata["class_names"])
        with np.load(folder / SVM_FILE) as arrays:
            coef, intercept = arrays["coef"], arrays["intercept"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder} holds no SVM that can be read ({error}); fit it again") from error
    if coef.shape != (len(names), FEATURES) or intercept.shape != (len(names),):
        raise BundleError(f"{folder}: planes {coef.shape} for {len(names)} classes; fit it again")
    return Svm(folder.name, names, coef, intercept, metadata)


@dataclass(frozen=True)
class Majority:
    """Always the most frequent class of the Training rows; its `shares` are those of the classes there."""

    class_names: tuple[str, ...]
    shares: np.ndarray
    name: str = "majority"

    def predict(self, faces: np.ndarray, flip: bool = False) -> np.ndarray:
        """The same row for each face: float64 (n, classes)."""
        return np.tile(self.shares, (len(faces), 1))


def fit_majority(rows: Dataset) -> Majority:
    """The classes' shares of the Training rows of a data set."""
    counts = rows.part("Training").counts()
    if not counts.sum():
        raise DatasetError("the data set has no Training rows")
    return Majority(rows.class_names, counts / counts.sum())


def load_model(folder: str | os.PathLike):
    """The bundle in a folder, or the SVM where an `svm.npz` lies there; errors as `load_bundle`, `load_svm`."""
    if (Path(folder) / SVM_FILE).is_file():
        return load_svm(folder)
    from ferlib.model.bundle import load_bundle

    return load_bundle(folder)
