"""The faces in files and folders of pictures and videos: a table, annotated copies, and a chart."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferlib.common import images
from ferlib.common.errors import BadInputError, ImageError, logger, warn_each
from ferlib.live import video
from ferlib.live.figures import Chart
from ferlib.live.outputs import ALL, Outputs, Selection, face_columns, face_rows, table_writer
from ferlib.live.overlay import draw_predictions
from ferlib.live.video_faces import Summary, follow_video
from ferlib.model.recognise import Recognizer


def find_files(
    paths: Iterable[str | os.PathLike], recursive: bool = True, exclude: str | os.PathLike | None = None
) -> dict[Path, Path]:
    """Find the pictures and videos in files and folders.

    A file counts whatever its name. In a folder, names with a suffix of `images.SUFFIXES` or `video.SUFFIXES` count,
    in any case; hidden files and folders do not. No file is listed twice. A folder without any, and the numbers of
    other files by suffix, are logged.

    Args:
        paths: Files and folders.
        recursive: Whether folders inside a folder are searched, too.
        exclude: A folder that is left out.

    Returns:
        Each file, sorted within a folder, with the folder through which it was found.
    """
    found: dict[str, tuple[Path, Path]] = {}
    empty = []
    excluded = None if exclude is None else Path(exclude).resolve()
    for path in map(Path, paths):
        root, inside = path.parent, [path]  # a file that does not exist is named when it is opened
        if path.is_dir():
            root, walk = path, path.rglob("*") if recursive else path.iterdir()
            visible = [p for p in walk if not any(part.startswith(".") for part in p.relative_to(path).parts)]
            files = sorted(p for p in visible if excluded not in p.resolve().parents and p.is_file())
            inside = [p for p in files if p.suffix.lower() in (*images.SUFFIXES, *video.SUFFIXES)]
            others = Counter(p.suffix.lower() or "without suffix" for p in set(files).difference(inside))
            if others:
                counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
                logger.warning("%s: other files are not read: %s", path, counts)
            if not inside:
                empty.append(f"{path}: no pictures in this folder")
        for file in inside:
            found.setdefault(str(file.resolve()), (file, root))
    warn_each(empty)
    return dict(found.values())


def is_video(path: Path) -> bool:
    """Tell whether a file is taken for a video.

    Args:
        path: The file.

    Returns:
        Whether its name has a suffix of `video.SUFFIXES`.
    """
    return path.suffix.lower() in video.SUFFIXES


def predict_paths(
    paths: Iterable[str | os.PathLike],
    recognizer: Recognizer,
    outputs: Outputs | None = None,
    selection: Selection = ALL,
    recursive: bool = True,
    progress: Callable[[list[Path]], Iterable[Path]] = iter,
) -> Summary:
    """Recognise the faces in files and folders of pictures and videos; nothing stays in memory.

    Files that cannot be read, and pictures without a face, are logged. If reading ends early, by Ctrl-C too, the
    rows and copies so far are kept, see `ferlib.live.outputs.kept`.

    Args:
        paths: Files and folders.
        recognizer: The model and the detector.
        outputs: What to write: `csv`, `chart` (of the pictures), `annotated`. The annotated copies are in subfolders
            as their pictures were; pictures that are already in this folder are not read. The table has one row per
            face: `file` (as given, or folder/name), `face` (0 is the largest of its picture), `x`, `y`, `width`,
            `height` (pixels of the picture turned as its EXIF orientation says), `emotion`, `probability`, one
            column per class, and `score` (the detector's; empty for Haar). Where there are videos, `frame`,
            `seconds` and `track` follow `file`; they are empty for pictures.
        selection: Which frames and faces are read.
        recursive: Whether folders inside a folder are searched, too.
        progress: Wraps the list of files (tqdm, for example).

    Returns:
        The numbers of pictures and frames, and of faces.

    Raises:
        BadInputError: No file could be read, an annotated copy would replace a picture, or an output cannot be
            written.
    """
    outputs, paths = outputs or Outputs(), list(paths)
    roots = find_files(paths, recursive, outputs.annotated)
    if not roots:
        raise BadInputError(
            f"nothing could be read: {'no pictures in these folders' if paths else 'no paths were given'}"
        )
    outputs.check(roots)
    targets = {} if outputs.annotated is None else _targets(roots, Path(outputs.annotated))
    first = ("file", "frame", "seconds", "track") if any(map(is_video, roots)) else ("file",)
    columns = [*face_columns(first, recognizer.class_names), "score"]
    reader = _Reader(recognizer, outputs, selection, targets, Chart(recognizer.class_names))
    with table_writer(outputs.csv, columns) if outputs.csv else nullcontext() as reader.write_rows:
        reader.read_all(progress(list(roots)), len(roots))
    if outputs.chart:
        reader.chart.write(outputs.chart)
    return reader.summary


@dataclass
class _Reader:
    """Reads one file after the other and writes what is found."""

    recognizer: Recognizer
    outputs: Outputs
    selection: Selection
    targets: dict[Path, Path]
    chart: Chart
    write_rows: Callable[[list[dict]], None] | None = None
    summary: Summary = field(default_factory=Summary)

    def read_all(self, files: Iterable[Path], total: int) -> None:
        """Read all files, and log those that give nothing."""
        done, unreadable, without_face = 0, [], []
        try:
            for file in files:
                try:
                    if not self._read(file):
                        without_face.append(f"{file}: no face found")
                except ImageError as error:
                    if total == 1:
                        raise BadInputError(f"nothing could be read: {error}") from error
                    unreadable.append(str(error))
                done += 1
        except KeyboardInterrupt:
            logger.warning("stopped after %d of %d files", done, total)
            raise
        finally:
            warn_each(unreadable)
            warn_each(without_face)
        if len(unreadable) == total:
            raise BadInputError(f"nothing could be read: none of {total} files is a picture or video")

    def _read(self, file: Path) -> int:
        """The number of faces in a file."""
        found = self._read_video(file) if is_video(file) else self._read_picture(file)
        self.summary.frames += found.frames
        self.summary.rows += found.rows
        self.summary.tracks += found.tracks
        return found.rows

    def _read_picture(self, file: Path) -> Summary:
        image = images.load_image(file)
        try:
            faces = self.selection.read(image, self.recognizer)
        except ImageError as error:
            raise ImageError(f"{file}: {error}") from error
        if self.write_rows is not None:
            self.write_rows(face_rows(faces, self.outputs.empty, file=file.as_posix()))
        self.chart.add(faces)
        if file in self.targets:
            drawn = draw_predictions(image, faces, self.outputs.bars, self.outputs.emoji)
            images.write_image(self.targets[file], drawn)
        return Summary(1, len(faces))

    def _read_video(self, file: Path) -> Summary:
        outputs = replace(self.outputs, annotated=self.targets.get(file))
        return follow_video(file, self.recognizer, outputs, self.selection, self.write_rows)


def _targets(roots: dict[Path, Path], folder: Path) -> dict[Path, Path]:
    """Where the annotated copy of each file goes: its place below its root, no name twice."""
    targets: dict[Path, Path] = {}
    taken: set[str] = set()
    for file, root in roots.items():
        target = folder / file.relative_to(root)
        if target.suffix.lower() not in (video.CODECS if is_video(file) else images.WRITABLE):
            target = target.with_name(target.name + (".mp4" if is_video(file) else ".png"))
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
