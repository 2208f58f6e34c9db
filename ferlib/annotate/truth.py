"""What the drawing knows: the true boxes and expressions of crawled pictures that `ferlib.synth` drew."""

import pandas as pd

from ferlib import synth
from ferlib.annotate.table import make_table
from ferlib.crawl import photo_seed


def truth_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """The faces of all kept pictures of the local site, as a table of boxes (see `ferlib.annotate.table`).

    `manifest` as `crawl.read_manifest` gives it; its order is kept, the faces of a picture from left to
    right. Pictures of other sites, and any whose size is not the drawing's, have no row: nothing is known
    about them. Each photo is drawn again from its seed, about 20 a second.
    """
    rows = []
    for row in manifest[manifest["state"] == "ok"].itertuples():
        seed = photo_seed(row.url)
        if seed is None:
            continue
        photo = synth.draw_photo(seed)
        height, width = photo.image.shape[:2]
        if (row.width, row.height) != (width, height):
            continue
        for face in sorted(photo.faces, key=lambda face: face.box):
            box = dict(zip(("x", "y", "width", "height"), map(int, face.box), strict=True))
            size = {"image_width": width, "image_height": height}
            rows.append({"image": row.file, **box, "emotion": face.emotion, **size})
    return make_table(rows)
