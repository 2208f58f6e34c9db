"""An audit as one HTML page with the pictures in it: for the eyes of who has the data, not to be published."""

import base64
import os
from collections.abc import Iterable
from html import escape

import numpy as np

from ferlib.common import images
from ferlib.common.files import write_text
from ferlib.dataset.audit import Audit, balance, imbalance, summary
from ferlib.dataset.fer2013 import USAGES

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #ccc; }}
td.n, th.n {{ text-align: right; }}
.wall {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; font-size: .75rem; line-height: 1.3; max-width: 13rem; }}
figure img {{ width: 96px; height: 96px; image-rendering: pixelated; }}
</style></head><body>
<h1>Audit of {name}</h1>
<p>Rows are counted from 1, as the file has them. The pictures are those of the data set: whoever may not
publish it may not publish this page.</p>
{body}
</body></html>
"""


def write_page(found: Audit, path: str | os.PathLike, name: str = "the data set", most: int = 24) -> None:
    """Write counts, the table of classes and up to `most` examples of each finding; opens without a network."""
    data = found.dataset
    training = data.usage == USAGES[0]
    across = found.near[training[found.near[:, 0]] != training[found.near[:, 1]]]
    largest, smallest, times = imbalance(data)
    parts = [
        _table(("found", "how many"), summary(found)),
        "<h2>Classes</h2>",
        _table(("class", *USAGES), [(label, *counts) for label, counts in balance(data)]),
        f"<p>{escape(largest)} has {times:.1f} times the faces of {escape(smallest)} in {USAGES[0]}.</p>",
        *_wall(found, "Copies with different labels", found.conflicts, most, once=True),
        *_wall(found, "Exact twins across the parts", _exact_across(found), most, once=True),
        *_wall(found, "Near twins across the parts", across, most),
        *_wall(found, "Near copies within a part", _others(found.near, across), most),
        *_wall(found, "Blank pictures", np.flatnonzero(found.blank)[:, None], most),
    ]
    write_text(path, _PAGE.format(name=escape(name), body="\n".join(parts)))


def _exact_across(found: Audit) -> list[np.ndarray]:
    """Groups of exact copies that stand in Training and in another part, each as its rows."""
    training = found.dataset.usage == USAGES[0]
    both = np.intersect1d(found.groups[training], found.groups[~training])
    return [np.flatnonzero(found.groups == group) for group in both]


def _others(pairs: np.ndarray, without: np.ndarray) -> list[np.ndarray]:
    known = set(map(tuple, without.tolist()))
    return [pair for pair in pairs if tuple(pair.tolist()) not in known]


def _table(head: Iterable[str], rows: Iterable[tuple]) -> str:
    name, *numbers = head
    lines = [
        "<table><tr><th>" + escape(name) + "".join(f'<th class="n">{escape(n)}' for n in numbers) + "</tr>"
    ]
    for label, *counts in rows:
        lines.append("<tr><td>" + escape(label) + "".join(f'<td class="n">{n:,}' for n in counts) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _wall(found: Audit, title: str, groups: Iterable[np.ndarray], most: int, once: bool = False) -> list[str]:
    """A heading and a figure a group: its pictures (one of them, where all are the same) and what its rows say."""
    groups = list(groups)
    shown = f", {most} of them" if len(groups) > most else ""
    return [
        f"<h2>{escape(title)}: {len(groups):,}{shown}</h2>",
        '<div class="wall">',
        *(_figure(found, rows, rows[:1] if once else rows) for rows in groups[:most]),
        "</div>",
    ]


def _figure(found: Audit, rows: np.ndarray, pictures: np.ndarray) -> str:
    data = found.dataset
    code = [base64.b64encode(images.encode_jpeg(data.pixels[row], 92)).decode() for row in pictures]
    words = [f"{row + 1}: {data.class_names[data.labels[row]]}, {data.usage[row]}" for row in rows]
    pictures_html = "".join(f'<img alt="face" src="data:image/jpeg;base64,{text}">' for text in code)
    return f"<figure>{pictures_html}<figcaption>{'<br>'.join(map(escape, words))}</figcaption></figure>"
