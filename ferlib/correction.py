"""The correction of a trained network: its last layer's scale and bias fitted to labels it did not learn from."""

from collections.abc import Sequence

import numpy as np

from ferlib import calibration
from ferlib.bundle import Bundle
from ferlib.errors import BadInputError
from ferlib.quiet import import_keras


def fit(model, faces: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """A temperature and a shift of each class's score, float64 (n_classes,), fitted to faces it did not learn from.

    faces: uint8 (n, 48, 48), each also mirrored; labels: int (n,). Targets that people's votes have a share in move
    the answers towards what the votes name more often than the labels do, here neutral; this moves them back.
    See `calibration.fit_shift`.
    """
    both = np.concatenate([faces, faces[:, :, ::-1]])
    return calibration.fit_shift(np.concatenate([labels, labels]), answers(model, both))


def apply(model, temperature: float, shift: np.ndarray) -> None:
    """Build a correction into the last layer; BadInputError for a network that does not end in a dense layer."""
    last = model.layers[-1]
    if not isinstance(last, import_keras().layers.Dense):
        raise BadInputError(
            f"the network ends in {type(last).__name__}, not in a dense layer; choose another"
        )
    kernel, bias = last.get_weights()
    last.set_weights([kernel / temperature, bias / temperature + shift])


def to_facts(temperature: float, shift: np.ndarray, class_names: Sequence[str]) -> dict:
    """A correction as a bundle's metadata have it."""
    moved = {name: round(float(by), 3) for name, by in zip(class_names, shift, strict=True)}
    return {"temperature": float(f"{temperature:.4g}"), "shift": moved}


def of_bundle(bundle: Bundle) -> tuple[float, np.ndarray]:
    """The correction that a bundle's metadata have."""
    facts = bundle.metadata["correction"]
    return facts["temperature"], np.array([facts["shift"][name] for name in bundle.class_names])


def answers(model, faces: np.ndarray) -> np.ndarray:
    """What a network says to faces, uint8 (n, 48, 48): float32 (n, n_classes)."""
    return model.predict(faces[..., None].astype(np.float32), batch_size=256, verbose=0)
