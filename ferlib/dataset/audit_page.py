"""An audit as one HTML page with the pictures in it, for those who have the data; not to be published."""

import base64
import os

import numpy as np

from ferlib.common import images
from ferlib.common.files import write_text
from ferlib.common.html import render
from ferlib.dataset.audit import Audit, balance, imbalance, summary
from ferlib.dataset.splits import USAGES


def write_page(
    found: Audit, path: str | os.PathLike, name: str = "the data set", max_examples: int = 24
) -> None:
    """Write an audit as a page that opens without a network: counts, the table of classes, and examples.

    Args:
        found: The audit of a data set.
        path: The HTML file to write.
        name: Name of the data set, for the title.
        max_examples: How many examples of each finding are shown.
    """
    data = found.dataset
    training = data.usage == USAGES[0]
    across = training[found.near[:, 0]] != training[found.near[:, 1]]
    both = np.intersect1d(data.groups[training], data.groups[~training])
    findings = (  # and whether all pictures of a group are the same, so that one is enough
        ("Copies with different labels", found.conflicts, True),
        ("Exact twins across the parts", [np.flatnonzero(data.groups == group) for group in both], True),
        ("Near twins across the parts", found.near[across], False),
        ("Near copies within a part", found.near[~across], False),
        ("Blank pictures", np.flatnonzero(found.blank)[:, None], False),
    )
    page = render(
        "audit.html",
        name=name,
        summary=[(what, [count]) for what, count in summary(found)],
        usages=USAGES,
        balance=balance(data),
        imbalance=imbalance(data),
        findings=findings,
        max_examples=max_examples,
        data=data,
        encode=_encode,
    )
    write_text(path, page)


def _encode(face: np.ndarray) -> str:
    """A picture as the data of an <img>."""
    return base64.b64encode(images.encode_jpeg(face, 92)).decode()
