"""Sliders that move a drawn face's action units; the face changes as they move."""

from dataclasses import replace

import ipywidgets
import numpy as np

from ferlib import synth
from ferlib.common import images
from ferlib.common.errors import BadInputError


class ActionUnitSliders(ipywidgets.HBox):
    """A drawn face beside one slider (0 to 1) an action unit, and a menu of prototypes to start from.

    `face`: a `synth.Face`, whose skin, hair, light and pose stay as they are; `size`: pixels a side.
    `aus` is what the sliders say, `image` the picture shown, uint8 (size, size, 3) RGB.
    """

    def __init__(self, face: synth.Face, size: int = 224):
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
            for unit, name in synth.AU_NAMES.items()
        }
        for slider in self._sliders.values():
            slider.observe(self._moved, names="value")
        self._menu = ipywidgets.Dropdown(
            options=list(synth.EMOTION_AUS), description="start from", value=None
        )
        self._menu.observe(lambda change: self.set_aus(synth.EMOTION_AUS[change["new"]]), names="value")
        super().__init__(
            [ipywidgets.VBox([self._menu, self._picture]), ipywidgets.VBox([*self._sliders.values()])]
        )
        self.set_aus(face.aus)

    def __repr__(self) -> str:
        return "sliders that move the face: run this cell in JupyterLab"  # all that a stored notebook keeps

    @property
    def aus(self) -> dict[int, float]:
        return {unit: slider.value for unit, slider in self._sliders.items() if slider.value > 0}

    def set_aus(self, aus: dict[int, float]) -> None:
        """Move all sliders (units not named go to 0), draw once; BadInputError for an unknown unit."""
        unknown = set(aus) - set(self._sliders)
        if unknown:
            raise BadInputError(
                f"no slider for AU{min(unknown)}; there are {', '.join(map(str, self._sliders))}"
            )
        self._loading = True
        for unit, slider in self._sliders.items():
            slider.value = float(aus.get(unit, 0.0))
        self._loading = False
        self._draw()

    def _moved(self, _change) -> None:
        if not self._loading:
            self._draw()

    def _draw(self) -> None:
        face = replace(self._face, aus=self.aus)
        # the same noise each time, so that nothing changes but what was moved
        self.image = synth.draw_face(face, self._size, np.random.default_rng(0))
        self._picture.value = images.encode_jpeg(self.image, quality=92)
