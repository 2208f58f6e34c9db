"""The faces in picture files and folders: a table, annotated copies, and a chart."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from ferlib.common import images
from ferlib.common.errors import BadInputError, ImageError, warn_each
from ferlib.live.figures import write_chart
from ferlib.live.outputs import Outputs, face_columns, face_rows, writable, write_table
from ferlib.live.overlay import draw_predictions
from ferlib.model.recognise import Recognizer


def picture_files(
    paths: Iterable[str | os.PathLike], recursive: bool = True, exclude: str | os.PathLike | None = None
) -> dict[Path, Path]:
    """Find the pictures in files and folders.

    A file counts whatever its name. In a folder, names with a suffix of `images.SUFFIXES` count, in any case;
    hidden files and folders do not. No file is listed twice. A folder without pictures is logged.

    Args:
        paths: Files and folders.
        recursive: Whether folders inside a folder are searched, too.
        exclude: A folder that is left out.

    Returns:
        Each picture, sorted within a folder, with the folder through which it was found.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    empty = []
    excluded = None if exclude is None else Path(exclude).resolve()
    for path in map(Path, paths):
        root, inside = path.parent, [path]  # a file that does not exist is named when it is opened
        if path.is_dir():
            root, walk = path, path.rglob("*") if recursive else path.iterdir()
            inside = sorted(p for p in walk if _is_picture(p.relative_to(path)) and p.is_file())
            inside = [p for p in inside if excluded not in p.resolve().parents]
            if not inside:
                empty.append(f"{path}: no pictures in this folder")
        for file in inside:
            found.setdefault(file.resolve(), (file, root))
    warn_each(empty)
    return dict(found.values())


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES and not any(part.startswith(".") for part in path.parts)


def predict_paths(
    paths: Iterable[str | os.PathLike],
    recognizer: Recognizer,
    outputs: Outputs | None = None,
    recursive: bool = True,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> pd.DataFrame:
    """Recognise the faces in picture files and folders.

    Files that cannot be read, and pictures without a face, are logged.

    Args:
        paths: Files and folders.
        recognizer: The model and the detector.
        outputs: What to write: `csv`, `chart`, `annotated`. The annotated copies are in subfolders as their
            pictures were; pictures that are already in this folder are not read.
        recursive: Whether folders inside a folder are searched, too.
        progress: Wraps the list of files (tqdm, for example).

    Returns:
        One row per face: `file` (as given, or folder/name), `face` (0 is the largest of its picture), `x`, `y`,
        `width`, `height` (pixels of the picture turned as its EXIF orientation says), `emotion`, `probability`,
        one column per class, and `score` (the detector's; empty for Haar).

    Raises:
        BadInputError: No file could be read, an annotated copy would replace a picture, or an output cannot be
            written.
    """
    outputs, paths = outputs or Outputs(), list(paths)
    roots = picture_files(paths, recursive, outputs.annotated)
    targets = {} if outputs.annotated is None else _targets(roots, Path(outputs.annotated))
    rows, unreadable, without_face = [], [], []
    for file in progress(list(roots)):
        try:
            image = images.load_image(file)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        faces = recognizer.read(image, "rgb")
        rows += face_rows(faces, file=file.as_posix())
        if file in targets:
            with writable(targets[file]) as target:
                images.write_image(target, draw_predictions(image, faces, emoji=outputs.emoji))
        if not faces:
            without_face.append(f"{file}: no face found")
    if len(unreadable) == len(roots) == 1:
        raise BadInputError(f"nothing could be read: {unreadable[0]}")
    warn_each(unreadable)
    warn_each(without_face)
    if len(unreadable) == len(roots):
        reason = f"none of {len(roots)} files is a picture" if roots else "no pictures in these folders"
        raise BadInputError(f"nothing could be read: {reason if paths else 'no paths were given'}")
    table = pd.DataFrame(rows, columns=[*face_columns(("file",), recognizer.class_names), "score"])
    if outputs.csv:
        write_table(table, outputs.csv)
    if outputs.chart:
        write_chart(table, recognizer.class_names, outputs.chart)
    return table


def _targets(roots: dict[Path, Path], folder: Path) -> dict[Path, Path]:
    """Where the annotated copy of each file goes: its place below its root, no name twice."""
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    for file, root in roots.items():
        target = folder / file.relative_to(root)
        if target.suffix.lower() not in images.WRITABLE:
            target = target.with_name(target.name + ".png")
        first, number = target, 1
        while str(target).lower() in taken:  # some file systems do not tell A.png from a.png
            number += 1
            target = first.with_name(f"{first.stem}-{number}{first.suffix}")
        taken.add(str(target).lower())
        targets[file] = target
    originals = {file.resolve() for file in roots}
    for target in targets.values():
        if target.resolve() in originals:
            raise BadInputError(f"{folder}: a copy would replace the picture {target}; name another folder")
    return targets
