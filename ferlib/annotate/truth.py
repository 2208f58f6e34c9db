"""The true boxes and expressions of crawled pictures that `ferlib.synth` drew."""

import pandas as pd

from ferlib import synth
from ferlib.annotate.table import make_row, make_table
from ferlib.crawl import photo_seed


def truth_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """Get the true boxes and expressions of the pictures that were crawled from the drawn search site.

    Each photo is drawn again from its seed, about 20 per second.

    Args:
        manifest: The crawler's manifest, as `ferlib.crawl.read_manifest` returns it.

    Returns:
        A table of boxes (see `ferlib.annotate.table`) in the order of the manifest; the faces of a picture
        from left to right. Pictures of other sites, and those whose size is not the drawing's, have no row.
    """
    rows = []
    for row in manifest[manifest["state"] == "ok"].itertuples():
        seed = photo_seed(row.url)
        photo = None if seed is None else synth.draw_photo(seed)
        if photo is None or photo.image.shape[:2] != (row.height, row.width):
            continue
        for face in sorted(photo.faces, key=lambda face: face.box):
            rows.append(make_row(row.file, face.box, face.emotion, face.emotion, (row.width, row.height)))
    return make_table(rows)
