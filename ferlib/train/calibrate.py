"""Calibrate a network: a temperature, and a bias per class, built into its last layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferlib.model import calibration
from ferlib.train.fit import predict_probabilities
from ferlib.train.networks import output_layer


@dataclass(frozen=True, eq=False)
class Calibration:
    """Bias-corrected temperature scaling (A. Alexandari et al., ICML 2020); see `calibration.fit_shift`.

    Targets that contain people's votes move the predictions towards what the votes name more often than the labels
    do, here neutral; the biases move them back.

    Attributes:
        temperature: The logits are divided by it.
        bias: float (n_classes,), then added to the logits.
    """

    temperature: float
    bias: np.ndarray

    @classmethod
    def fit(cls, model: Any, faces: np.ndarray, labels: np.ndarray) -> "Calibration":
        """Fit the calibration to faces that the network has not learned.

        Args:
            model: The network.
            faces: uint8 (n, 48, 48); each is also used mirrored.
            labels: int (n,).

        Returns:
            The calibration with the smallest log loss.
        """
        both = np.concatenate([faces, faces[:, :, ::-1]])
        labels = np.concatenate([labels, labels])
        return cls(*calibration.fit_shift(labels, predict_probabilities(model, both)))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Calibration":
        """Read the calibration of a bundle.

        Args:
            metadata: The metadata of the bundle, with `correction` and `class_names`.

        Returns:
            The calibration, rounded as the metadata have it.
        """
        saved = metadata["correction"]
        return cls(saved["temperature"], np.array([saved["shift"][name] for name in metadata["class_names"]]))

    def to_metadata(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Describe the calibration for the metadata of a bundle.

        Args:
            class_names: The names of the classes.

        Returns:
            `temperature`, and `shift`: the bias of each class by its name.
        """
        biases = {name: round(float(bias), 3) for name, bias in zip(class_names, self.bias, strict=True)}
        return {"temperature": float(f"{self.temperature:.4g}"), "shift": biases}

    def apply(self, model: Any) -> None:
        """Build the calibration into the last layer of a network.

        Args:
            model: The network; it is changed in place.

        Raises:
            BadInputError: The network does not end in a dense layer.
        """
        last = output_layer(model)
        kernel, bias = last.get_weights()
        last.set_weights([kernel / self.temperature, bias / self.temperature + self.bias])
