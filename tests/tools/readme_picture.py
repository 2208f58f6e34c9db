"""The README's picture: drawn faces with what the shipped model reads in them."""

from pathlib import Path

import numpy as np

import ferlib
from ferlib import synth
from ferlib.common import images
from ferlib.live.overlay import draw_predictions

OUT = Path(__file__).resolve().parents[2] / "notebooks" / "images" / "result.png"
SEEDS = {"happy": 8, "surprise": 11, "angry": 14, "sad": 3}


def main() -> None:
    """Draw one face an expression, read it, and put the four side by side."""
    recognizer = ferlib.load()
    tiles = []
    for emotion, seed in SEEDS.items():
        face = synth.sample_face(np.random.default_rng(seed), emotion)
        picture = synth.draw_face(face, 320)
        tiles.append(draw_predictions(picture, recognizer.read(picture, "rgb")))
    OUT.parent.mkdir(exist_ok=True)
    images.write_image(OUT, np.hstack(tiles))


if __name__ == "__main__":
    main()
