"""VoTT's label files: one JSON file per picture, and the export of a whole project."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from ferlib.annotate.formats import fields
from ferlib.annotate.pictures import clean_image_name, find_pictures, recorded_path, short_name, short_names
from ferlib.annotate.table import ImageSizes, Records, Size, image_sizes_of
from ferlib.common.errors import AnnotationError

NOTES = ("reviewed", "excluded")
"""ferlib's own keys of an asset: a person has said that the picture is done, or is not to be used."""

_SUFFIX, _EXPORT_SUFFIX = "-asset.json", "-export.json"
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

    def _add_asset(self, record: Any, file: Path, keep_all: bool) -> None:
        """Add the regions of one picture."""
        if not isinstance(record, dict) or not isinstance(record.get("asset"), dict):
            raise AnnotationError("an entry of 'assets' has no 'asset'")
        asset = record["asset"]
        if asset.get("excluded") is True and not keep_all:
            return
        path = _read_recorded_path(asset)
        name = short_name(path)
        if file.name.endswith(_SUFFIX):
            self.ids.setdefault(path, file.name.removesuffix(_SUFFIX))
            self.asset_notes.setdefault(path, {key: asset[key] is True for key in NOTES if key in asset})
        identity = fields.get(asset, "id", str) or file.name
        if self._first_ids.setdefault(path, identity) != identity:
            raise AnnotationError(f"a second asset named {name!r}; the first is kept")
        if not isinstance(record.get("regions"), list):
            raise AnnotationError(f"{name} has no list of 'regions'")
        size, where = asset.get("size") or {}, f"{file.name}: region"
        sides = (size.get("width"), size.get("height")) if isinstance(size, dict) else (size, None)
        fields.add_boxes(self, where, record["regions"], path, sides, _read_region, untagged=keep_all)

    def _name_pictures(self, images_folder: Path | None) -> None:
        """Replace the recorded paths: by the files of a folder, or by short names."""
        paths = list(dict.fromkeys([*self.asset_notes, *self.ids, *(row["image"] for row in self.rows)]))
        names = short_names(paths)
        if images_folder is not None:
            for path, found in find_pictures(paths, images_folder).items():
                names[path] = found if isinstance(found, str) else path
                if isinstance(found, AnnotationError) and "no such picture" not in str(found):
                    self.problems.append(f"{short_name(path)}: {found}; left out")
            self.rows = [row | {"image": names[row["image"]]} for row in self.rows]
        self.ids = {names[path]: identity for path, identity in self.ids.items()}
        self.asset_notes = {names[path]: notes for path, notes in self.asset_notes.items()}


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


def read_project(
    path: str | os.PathLike, keep_all: bool = False, images_folder: str | os.PathLike | None = None
) -> VottProject:
    """Read a VoTT project with the ids and notes of its pictures, and log nothing yet.

    Args:
        path: The project, as for `read_vott`.
        keep_all: Whether excluded pictures, and boxes without a tag (with an empty emotion), are kept.
        images_folder: The folder of the pictures, by whose files the pictures are named; see
            `ferlib.annotate.pictures.find_pictures`. Without it they have short names.

    Returns:
        The rows, the problems, the ids and the notes.

    Raises:
        AnnotationError: The path is missing, has no such file, or is itself a file that is no VoTT JSON.
    """
    path, project = Path(path), VottProject()
    for file in _find_files(path):
        with nullcontext() if file == path else project.leave_out_if_bad():
            for asset in _read_assets(file):
                with project.leave_out_if_bad(file.name):
                    project._add_asset(asset, file, keep_all)
    project._name_pictures(None if images_folder is None else Path(images_folder))
    return project


def _find_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in (f"*{_SUFFIX}", f"*{_EXPORT_SUFFIX}", f"vott-json-export/*{_EXPORT_SUFFIX}"):
        if files := sorted(path.glob(pattern)):
            return files
    raise AnnotationError(f"{path.name}: no such file, and no *-asset.json or *-export.json in such a folder")


def _read_assets(file: Path) -> list:
    """Read the asset records of one file: one of a per-picture file, all of an export."""
    content = fields.read_json(file)
    content = content if isinstance(content, dict) else {}
    reason = "not a VoTT file (neither 'asset' nor 'assets' in it)"
    if isinstance(content.get("asset"), dict):
        return [content]
    if isinstance(content.get("assets"), dict):
        assets = list(content["assets"].values())
        if not assets or any("asset" in each or "path" not in each for each in map(_as_dict, assets)):
            return assets
        reason = (
            "VoTT's project file, which has no boxes; give the folder of its *-asset.json files, "
            "or export the project as VoTT JSON and give the *-export.json"
        )
    elif isinstance(content.get("frames"), dict):
        reason = (
            "a project of VoTT 1, whose boxes are in pixels of its window; "
            "export it there as Pascal VOC and give the XML files"
        )
    raise AnnotationError(f"{file.name}: {reason}")


def _read_recorded_path(asset: dict) -> str:
    """Read the picture's recorded path. VoTT writes `path` as `file:` and a percent-encoded path on its own machine."""
    name, path = fields.get(asset, "name", str), fields.get(asset, "path", str)
    last = (unquote(path) if path.startswith("file:") else path).replace("\\", "/").rpartition("/")[2]
    if "://" in path:  # a signed address has its token behind the name
        last = unquote(re.split(r"\?|#(?!t=)", last)[0])
    if last and (not name or last in (name, unquote(name))):
        return recorded_path(path)
    return recorded_path(name)


def _read_region(region: dict) -> tuple[Sequence[float], list[str]]:
    """Read (box, tags) of a region."""
    box, points = region.get("boundingBox"), fields.get(region, "points", list)
    tags = fields.clean_tags(region.get("tags"))
    if isinstance(box, dict):
        return fields.numbers(box, ("left", "top", "width", "height")), tags
    if points:
        return fields.bounding_box([[_as_dict(point).get(key) for key in "xy"] for point in points]), tags
    raise AnnotationError("neither 'boundingBox' nor 'points'")


def _as_dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def write_vott(
    table: pd.DataFrame,
    path: str | os.PathLike,
    image_sizes: ImageSizes | None = None,
    ids: Mapping[str, str] | None = None,
    notes: Mapping[str, Mapping[str, bool]] | None = None,
) -> list[Path]:
    """Write a table of boxes as VoTT does: one `<id>-asset.json` per picture, or the export of a project.

    Paths are written relative to the folder of pictures, so that a project may move. A region is written as
    a rectangle; of a polygon that was read, this is its bounding box.

    Args:
        table: A table of boxes (see `ferlib.annotate.table`).
        path: The folder for the files, made if it is missing; or a file `<project>-export.json`, which gets
            the whole table as VoTT's "VoTT JSON" export writes it.
        image_sizes: (width, height) of pictures by name; it overrides the table's own sizes. A picture
            without a row in the table is written without regions (looked at, no face in it).
        ids: Picture name to asset id. By default the id is the MD5 of the name, so that labelling a picture
            again replaces its file.
        notes: Picture name to ferlib's own keys (`NOTES`), which VoTT ignores.

    Returns:
        The files that were written, in the order of the pictures.

    Raises:
        AnnotationError: A picture's name leads outside the folder, or an id cannot be part of a file name.
    """
    path = Path(path)
    by_image = dict(list(table.groupby("image", sort=False)))
    records = []
    for image, size in image_sizes_of(table, image_sizes).items():
        rows = by_image.get(image, table[:0]).itertuples()
        records.append(_make_asset(image, size, rows, (ids or {}).get(image), (notes or {}).get(image, {})))
    if path.name.endswith(_EXPORT_SUFFIX):
        tags = sorted({tag for record in records for region in record["regions"] for tag in region["tags"]})
        content = {
            "name": path.name.removesuffix(_EXPORT_SUFFIX),
            "tags": [{"name": tag, "color": _COLORS[k % len(_COLORS)]} for k, tag in enumerate(tags)],
            "assets": {record["asset"]["id"]: record for record in records},
        }
        return [fields.write_json(path, content)]
    return [fields.write_json(path / f"{record['asset']['id']}{_SUFFIX}", record) for record in records]


def asset_id(image: str) -> str:
    """Make the id of a picture that has none.

    Args:
        image: The name of the picture.

    Returns:
        32 hexadecimal digits; the name of the label file begins with them.
    """
    return hashlib.md5(clean_image_name(image).encode()).hexdigest()


def _make_asset(
    image: str, size: Size, rows: Iterable, identity: str | None, notes: Mapping
) -> dict[str, Any]:
    """Make VoTT's record of one picture."""
    name = clean_image_name(image)
    identity = identity or asset_id(name)
    if not re.fullmatch(r"[\w.-]+", identity) or identity.startswith("."):
        raise AnnotationError(f"asset id {identity!r} cannot be part of a file name")
    regions = [_make_region(row, f"{identity[:12]}-{k}") for k, row in enumerate(rows)]
    asset = {
        "format": PurePosixPath(name).suffix.lstrip(".").lower(),
        "id": identity,
        "name": PurePosixPath(name).name,
        "path": "file:" + quote(name),
        "size": {"width": size[0], "height": size[1]},
        "state": 2 if regions else 1,  # VoTT: 1 visited, 2 tagged
        "type": 1,  # a picture
        **{key: value for key, value in notes.items() if key in NOTES},
    }
    return {"asset": asset, "regions": regions, "version": "2.2.0"}


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
