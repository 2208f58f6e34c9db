"""The drawing's own truth about crawled pictures."""

import pandas as pd

from ferlib import synth
from ferlib.annotate.truth import truth_table


def row(file, url, size, state="ok"):
    return {"file": file, "url": url, "width": size[0], "height": size[1], "state": state}


def test_the_truth_is_what_was_drawn():
    photo = synth.draw_photo(4)
    size = photo.image.shape[1::-1]
    manifest = pd.DataFrame(
        [
            row("b.jpg", "http://127.0.0.1:1/photo/4.jpg", size),
            row("", "http://127.0.0.1:1/photo/5.jpg", (0, 0), "rejected"),
            row("b.jpg", "http://127.0.0.1:1/mirror/photo/4.jpg", size, "copy"),
            row("c.jpg", "https://example.org/photo/4.jpg", size),
            row("d.jpg", "http://127.0.0.1:1/photo/4.jpg", (120, 90)),
        ]
    )
    table = truth_table(manifest)
    assert set(table["image"]) == {"b.jpg"} and len(table) == len(photo.faces)
    got = table[["x", "y", "width", "height", "emotion"]].values.tolist()
    assert got == [[*face.box, face.emotion] for face in sorted(photo.faces, key=lambda face: face.box)]
    assert set(table["image_width"]) == {size[0]} and set(table["image_height"]) == {size[1]}


def test_no_local_picture_no_truth():
    assert len(truth_table(pd.DataFrame([row("c.jpg", "https://example.org/1.jpg", (9, 9))]))) == 0
