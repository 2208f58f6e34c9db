"""Sliders for the action units of a drawn face; the face changes as they move."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np

from ferlib.common import images
from ferlib.common.errors import check_choice
from ferlib.synth.anatomy import AU_NAMES, EMOTION_AUS, Face
from ferlib.synth.draw import draw_face


class ActionUnitSliders(ipywidgets.HBox):
    """A drawn face beside one slider per action unit (intensity 0 to 1), and a menu of EMFACS prototypes.

    Args:
        face: The face to start from; its skin, hair, light and pose do not change.
        size: Width and height of the picture in pixels, 32 to 1024.

    Attributes:
        image: The picture that is shown, RGB, uint8 (size, size, 3).

    Raises:
        BadInputError: A face or size that cannot be drawn.

    Example:
        >>> ActionUnitSliders(synth.Face(), size=224)
    """

    def __init__(self, face: Face, size: int = 224):
        self._face, self._size, self._loading = face, size, False
        self._picture = ipywidgets.Image(format="jpeg", width=size, height=size)
        self._sliders = {
            unit: ipywidgets.FloatSlider(
                min=0.0,
                max=1.0,
                step=0.05,
                description=f"AU{unit} {name}",
                style={"description_width": "150px"},
                layout={"width": "340px"},
                readout_format=".2f",
            )
            for unit, name in AU_NAMES.items()
        }
        for slider in self._sliders.values():
            slider.observe(self._on_slider, names="value")
        self._menu = ipywidgets.Dropdown(options=list(EMOTION_AUS), description="start from", value=None)
        self._menu.observe(lambda change: self.set_aus(EMOTION_AUS[change["new"]]), names="value")
        sliders = ipywidgets.VBox([*self._sliders.values()])
        super().__init__([ipywidgets.VBox([self._menu, self._picture]), sliders])
        self.set_aus(face.aus)

    def __repr__(self) -> str:
        return "sliders that move the face: run this cell in JupyterLab"  # all that a stored notebook keeps

    @property
    def aus(self) -> dict[int, float]:
        """The action units above 0: unit to intensity, 0 to 1."""
        return {unit: slider.value for unit, slider in self._sliders.items() if slider.value > 0}

    def set_aus(self, aus: Mapping[int, float]) -> None:
        """Move all sliders and draw the face once.

        Args:
            aus: Action unit to intensity, 0 to 1; units that are missing go to 0.

        Raises:
            BadInputError: An unknown action unit.
        """
        for unit in aus:
            check_choice("action unit", unit, AU_NAMES)
        self._loading = True
        for unit, slider in self._sliders.items():
            slider.value = float(aus.get(unit, 0.0))
        self._loading = False
        self._draw()

    def _on_slider(self, change: Any) -> None:
        if not self._loading:
            self._draw()

    def _draw(self) -> None:
        face = replace(self._face, aus=self.aus)
        # the same noise each time, so that nothing changes but what was moved
        self.image = draw_face(face, self._size, np.random.default_rng(0))
        self._picture.value = images.encode_jpeg(self.image, quality=92)
