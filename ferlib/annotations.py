"""Labelled boxes: label files of other tools on one side, one table (see `ferlib.boxtable`) on the other.

A format is a module with one function that reads it, `read_…(path) -> (table, problems)`, and one that
writes it. A record that cannot be used is left out and named in `problems`; it never stops the others.
"""

from ferlib.boxtable import COLUMNS, NO_FACE, boxes_of, compare, make_table, picture_name
from ferlib.vott import asset_ids, read_vott, write_vott, write_vott_export

__all__ = [
    "COLUMNS",
    "NO_FACE",
    "asset_ids",
    "boxes_of",
    "compare",
    "make_table",
    "picture_name",
    "read_vott",
    "write_vott",
    "write_vott_export",
]
