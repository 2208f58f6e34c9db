"""VoTT's label files: one JSON file per picture, and the export of a whole project."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.table import ImageSizes, Records, clean_image_name, image_sizes_of
from ferlib.common.boxes import Box
from ferlib.common.errors import AnnotationError

NOTES = ("reviewed", "excluded")
"""ferlib's own keys of an asset: a person has said that the picture is done, or is not to be used."""

_SUFFIX = "-asset.json"
_COLORS = ("#5db300", "#e81123", "#6917aa", "#015cda", "#4894fe", "#fed832", "#aaaaaa")


@dataclass
class VottProject(Records):
    """What the label files of a VoTT project hold.

    Attributes:
        ids: Picture name to asset id, of the per-picture files; the file's name begins with the id.
        asset_notes: Picture name to those of `NOTES` that its per-picture file has.
    """

    ids: dict[str, str] = field(default_factory=dict)
    asset_notes: dict[str, dict[str, bool]] = field(default_factory=dict)
    _first_ids: dict[str, str] = field(default_factory=dict)

    def _add_asset(self, record: object, file: Path, keep_all: bool) -> None:
        """Add the regions of one picture."""
        asset = record.get("asset") if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(asset, dict):
            raise AnnotationError("an entry of 'assets' has no 'asset'")
        if asset.get("excluded") is True and not keep_all:
            return
        name = _read_image_name(asset)
        if file.name.endswith(_SUFFIX):
            self.ids.setdefault(name, file.name.removesuffix(_SUFFIX))
            self.asset_notes.setdefault(name, {key: asset[key] is True for key in NOTES if key in asset})
        identity = fields.as_text(asset.get("id")) or file.name
        if self._first_ids.setdefault(name, identity) != identity:
            raise AnnotationError(f"a second asset named {name!r}; the first is kept")
        regions = record.get("regions")
        if not isinstance(regions, list):
            raise AnnotationError(f"{name} has no list of 'regions'")
        sides = asset.get("size") or {}
        size = fields.image_size(sides.get("width"), sides.get("height")) if isinstance(sides, dict) else None
        if size is None:
            text = f"{file.name}: {name}: {fields.shorten(sides)} is no size; its boxes are read without one"
            self.notes.append(text)
        for k, region in enumerate(regions, start=1):
            with self.leave_out_if_bad(f"{file.name}: region {k} of {name}"):
                box, tags = _read_box(region, size or (0, 0)), fields.clean_tags(region.get("tags"))
                self.rows.append(fields.box_row(name, size or (0, 0), box, tags, untagged=keep_all))


def read_vott(path: str | os.PathLike) -> pd.DataFrame:
    """Read a VoTT project.

    Every region and every tag is read: a rectangle by its `boundingBox`, another region by the bounding box
    of its `points`. Boxes are clamped to the size that the file gives for the picture. A record that cannot
    be used (cut off, not VoTT, a bad number, no area, no tag, a name that leads outside the folder) is left
    out, with a warning. Pictures that a person excluded with `ferlib.annotate.session` have no rows.

    Args:
        path: A folder with `*-asset.json` files (or, if it has none, with a `*-export.json`, also in its
            `vott-json-export/`), one such file, or an export.

    Returns:
        A table of boxes (see `ferlib.annotate.table`).

    Raises:
        AnnotationError: The path is missing, has no such file, or is itself a file that is no VoTT JSON.
    """
    return read_project(path).table()


def read_project(path: str | os.PathLike, keep_all: bool = False) -> VottProject:
    """Read a VoTT project with the ids and notes of its pictures, and log nothing yet.

    Args:
        path: The project, as for `read_vott`.
        keep_all: Whether excluded pictures, and boxes without a tag (with an empty emotion), are kept.

    Returns:
        The rows, the problems, the ids and the notes.

    Raises:
        AnnotationError: The path is missing, has no such file, or is itself a file that is no VoTT JSON.
    """
    path, project = Path(path), VottProject()
    for file in _find_files(path):
        try:
            assets = _read_assets(file)
        except AnnotationError as error:
            if file == path:
                raise
            project.problems.append(f"{error}; left out")
            continue
        for asset in assets:
            with project.leave_out_if_bad(file.name):
                project._add_asset(asset, file, keep_all)
    return project


def _find_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise AnnotationError(f"{path.name}: there is no such file or folder of labels")
    for pattern in (f"*{_SUFFIX}", "*-export.json", "vott-json-export/*-export.json"):
        if files := sorted(path.glob(pattern)):
            return files
    raise AnnotationError(f"{path.name}: no *-asset.json and no *-export.json in this folder")


def _read_assets(file: Path) -> list:
    """Read the asset records of one file: one of a per-picture file, all of an export."""
    content = fields.read_json(file)
    if isinstance(content, dict):
        if isinstance(content.get("asset"), dict):
            return [content]
        if isinstance(content.get("assets"), dict):
            return list(content["assets"].values())
    raise AnnotationError(f"{file.name}: not a VoTT file (neither 'asset' nor 'assets' in it)")


def _read_image_name(asset: dict) -> str:
    """Read the picture's name. VoTT writes `path` as `file:` and a percent-encoded path on its own machine.

    Of an absolute path only the last part is used; a relative one (as we write it) keeps its folders.
    """
    name, path = fields.as_text(asset.get("name")), fields.as_text(asset.get("path"))
    path = unquote(path[5:]) if path.startswith("file:") else path
    path = path.replace("\\", "/")
    last = path.rpartition("/")[2]
    if last and (not name or last in (name, unquote(name))):
        outside = path.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path)
        name = last if outside else path
    return clean_image_name(name)


def _read_box(region: object, size: tuple[int, int]) -> Box:
    """Read a region's box in whole pixels, clamped to the picture."""
    if not isinstance(region, dict):
        raise AnnotationError("not a region")
    box, points = region.get("boundingBox"), region.get("points")
    if isinstance(box, dict):
        return fields.whole_box(fields.numbers(box, ("left", "top", "width", "height")), size)
    if isinstance(points, list) and points:
        pairs = [(point.get("x"), point.get("y")) if isinstance(point, dict) else None for point in points]
        return fields.whole_box(fields.bounding_box(pairs), size)
    raise AnnotationError("neither 'boundingBox' nor 'points'")


def write_vott(
    table: pd.DataFrame,
    folder: str | os.PathLike,
    image_sizes: ImageSizes | None = None,
    ids: Mapping[str, str] | None = None,
    notes: Mapping[str, Mapping[str, bool]] | None = None,
) -> list[Path]:
    """Write one `<id>-asset.json` per picture, as VoTT does.

    Paths are written relative to the folder of pictures, so that a project may move. A region is written as
    a rectangle; of a polygon that was read, this is its bounding box.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        folder: The folder for the files; it is made if it is missing.
        image_sizes: (width, height) of pictures by name; it overrides the table's own sizes. A picture
            without a row in the table is written without regions (looked at, no face in it).
        ids: Picture name to asset id. By default the id is the MD5 of the name, so that labelling a picture
            again replaces its file.
        notes: Picture name to ferlib's own keys (`NOTES`), which VoTT ignores.

    Returns:
        The files, in the order of the pictures.

    Raises:
        AnnotationError: A picture's name leads outside the folder, or an id cannot be part of a file name.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records = _make_assets(table, image_sizes, ids or {}, notes or {})
    return [fields.write_json(folder / f"{record['asset']['id']}{_SUFFIX}", record) for record in records]


def write_vott_export(table: pd.DataFrame, path: str | os.PathLike, name: str = "faces") -> Path:
    """Write a table of boxes as one file, as VoTT's "VoTT JSON" export does.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        path: The path of the file, `<project>-export.json`.
        name: The name of the project.

    Returns:
        The path.
    """
    records = _make_assets(table, None, {}, {})
    tags = sorted({tag for record in records for region in record["regions"] for tag in region["tags"]})
    content = {
        "name": name,
        "tags": [{"name": tag, "color": _COLORS[k % len(_COLORS)]} for k, tag in enumerate(tags)],
        "assets": {record["asset"]["id"]: record for record in records},
    }
    return fields.write_json(path, content)


def _make_assets(
    table: pd.DataFrame,
    image_sizes: ImageSizes | None,
    ids: Mapping[str, str],
    notes: Mapping[str, Mapping[str, bool]],
) -> list[dict[str, Any]]:
    """Make VoTT's record of each picture, in the order in which the pictures appear."""
    by_image = dict(list(table.groupby("image", sort=False)))
    records = []
    for image, (width, height) in image_sizes_of(table, image_sizes).items():
        name = clean_image_name(image)
        identity = ids.get(image) or hashlib.md5(name.encode()).hexdigest()
        if not re.fullmatch(r"[\w.-]+", identity) or identity.startswith("."):
            raise AnnotationError(f"asset id {identity!r} cannot be part of a file name")
        rows = by_image.get(image, table[:0]).itertuples()
        regions = [_make_region(row, f"{identity[:12]}-{k}") for k, row in enumerate(rows)]
        asset = {
            "format": PurePosixPath(name).suffix.lstrip(".").lower(),
            "id": identity,
            "name": PurePosixPath(name).name,
            "path": "file:" + quote(name),
            "size": {"width": width, "height": height},
            "state": 2 if regions else 1,  # VoTT: 1 visited, 2 tagged
            "type": 1,  # a picture
            **{key: value for key, value in notes.get(image, {}).items() if key in NOTES},
        }
        records.append({"asset": asset, "regions": regions, "version": "2.2.0"})
    return records


def _make_region(row: Any, identity: str) -> dict[str, Any]:
    x, y, w, h = map(int, (row.x, row.y, row.width, row.height))
    corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    return {
        "id": identity,
        "type": "RECTANGLE",
        "tags": [tag for tag in row.tags.split("|") if tag],
        "boundingBox": {"height": h, "width": w, "left": x, "top": y},
        "points": [{"x": a, "y": b} for a, b in corners],
    }
