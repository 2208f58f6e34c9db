"""A baseline for the networks to beat: a linear SVM on HOG, as was customary before them. It is used like a bundle."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ferlib.common.errors import BundleError, DatasetError, ImageError, check_choice
from ferlib.common.files import whole, write_text
from ferlib.dataset.fer2013 import SIDE
from ferlib.dataset.splits import Dataset
from ferlib.model.bundle import load_bundle
from ferlib.model.predictor import TTA, Predictor, augmented_views

SVM_FILE = "svm.npz"
FEATURES = 900
"""Numbers per face in the output of `hog`: 5×5 blocks of 2×2 cells with 9 directions each."""


def hog(faces: np.ndarray) -> np.ndarray:
    """Compute histograms of oriented gradients (N. Dalal and B. Triggs 2005).

    For each cell of 8×8 pixels: the strength of the edges in each of nine directions, normalised within overlapping
    blocks of 2×2 cells, so that the light matters little.

    Args:
        faces: uint8 (n, 48, 48).

    Returns:
        float32 (n, 900) in 0..1.

    Raises:
        ImageError: The faces have another dtype or shape.
    """
    faces = np.asarray(faces)
    if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1:] != (SIDE, SIDE):
        raise ImageError(f"faces must be uint8 (n, {SIDE}, {SIDE}), got {faces.dtype} {faces.shape}")
    import cv2

    descriptor = cv2.HOGDescriptor((SIDE, SIDE), (16, 16), (8, 8), (8, 8), 9)
    features = [np.ravel(descriptor.compute(np.ascontiguousarray(face))) for face in faces]
    return np.array(features, np.float32).reshape(-1, FEATURES)


@dataclass(frozen=True)
class Svm:
    """A linear SVM on HOG; a `Predictor`. The signed distance of a face from the plane of a class is its score.

    Attributes:
        name: The name of its folder.
        class_names: The names of the classes.
        coef: float64 (classes, 900), the normals of the planes.
        intercept: float64 (classes,).
        metadata: What metadata.json says.
    """

    name: str
    class_names: tuple[str, ...]
    coef: np.ndarray
    intercept: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)
    input_shape = (SIDE, SIDE, 1)

    def scores(self, faces: np.ndarray) -> np.ndarray:
        """Compute the signed distances from the plane of each class.

        Args:
            faces: uint8 (n, 48, 48).

        Returns:
            float64 (n, classes), in units of the margin.
        """
        return hog(faces) @ self.coef.T + self.intercept

    def predict(self, faces: np.ndarray, tta: str = "none") -> np.ndarray:
        """Predict the expressions of faces.

        Args:
            faces: uint8 (n, 48, 48).
            tta: Test-time augmentation, a name of `TTA`.

        Returns:
            float64 (n, classes), rows summing to one: the softmax of the scores. The order is that of the SVM; the
            values are not calibrated probabilities.

        Raises:
            BadInputError: An unknown `tta`.
            ImageError: The faces have another dtype or shape.
        """
        from scipy.special import softmax

        check_choice("tta", tta, TTA)
        views = augmented_views(faces, tta) if len(faces) else [faces]
        return np.mean([softmax(self.scores(view), axis=1) for view in views], axis=0)


def fit_svm(dataset: Dataset, seed: int = 7, C: float = 0.01) -> Svm:
    """Fit scikit-learn's LinearSVC, one class against the rest, to the HOG of the Training rows.

    Args:
        dataset: A data set.
        seed: For the order in which the solver visits the rows.
        C: The cost of a face on the wrong side of its margin; on FER2013 0.01 was as good as 0.1 (45.8 and 46.0 % of
            PublicTest) and faster.

    Returns:
        The SVM. A class without rows is never predicted.

    Raises:
        DatasetError: The Training rows have fewer than two classes.
    """
    from sklearn.svm import LinearSVC

    rows = dataset.part("Training")
    present = np.unique(rows.labels)
    if len(present) < 2:
        raise DatasetError(
            f"{len(rows)} Training rows of {len(present)} classes; an SVM needs two classes or more"
        )
    fitted = LinearSVC(C=C, random_state=seed).fit(hog(rows.pixels), rows.labels)
    coef, intercept = np.zeros((len(rows.class_names), FEATURES)), np.full(len(rows.class_names), -1e9)
    if len(present) == 2:  # scikit-learn gives one plane, that of the second class
        fitted.coef_ = np.vstack([-fitted.coef_, fitted.coef_])
        fitted.intercept_ = np.append(-fitted.intercept_, fitted.intercept_)
    coef[present], intercept[present] = fitted.coef_, fitted.intercept_
    facts = {"training_rows": len(rows), "settings": {"network": "HOG + linear SVM", "C": C, "seed": seed}}
    return Svm("hog-svm", rows.class_names, coef, intercept, facts)


def save_svm(svm: Svm, folder: str | os.PathLike, source: str, seconds: float) -> Path:
    """Write an SVM to a folder, as `svm.npz` and `metadata.json`.

    Args:
        svm: The SVM.
        folder: The folder; it is made if it is missing.
        source: What the data are, for the metadata.
        seconds: How long the fit took.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / SVM_FILE) as part:
        np.savez(part, coef=svm.coef, intercept=svm.intercept)
    metadata = {
        "name": folder.name,
        "class_names": list(svm.class_names),
        "input_shape": list(svm.input_shape),
        "parameters": svm.coef.size + svm.intercept.size,
        "data": {"source": source, "training_rows": svm.metadata["training_rows"]},
        "settings": svm.metadata["settings"],
        "seconds": round(seconds, 1),
    }
    write_text(folder / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    return folder


def load_svm(folder: str | os.PathLike) -> Svm:
    """Read what `save_svm` wrote.

    Args:
        folder: The folder.

    Returns:
        The SVM.

    Raises:
        BundleError: It cannot be read, or its parts do not fit together.
    """
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


def load_model(folder: str | os.PathLike) -> Predictor:
    """Load a bundle, or an SVM.

    Args:
        folder: The folder of a bundle, or one with an `svm.npz`.

    Returns:
        A `Bundle` or an `Svm`.

    Raises:
        BundleError: What `load_bundle` or `load_svm` raise.
    """
    return load_svm(folder) if (Path(folder) / SVM_FILE).is_file() else load_bundle(folder)
