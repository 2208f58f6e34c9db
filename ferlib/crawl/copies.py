"""Which picture is there already? Equal bytes by SHA-256, near copies by perceptual hash and shape."""

import numpy as np

SHAPE = 0.03
"""Width by height of a near copy may differ by this share: a resize rounds to whole pixels."""


class Library:
    """The pictures that are in: about 100 bytes for each."""

    def __init__(self, near_bits: int = 4):
        self._near_bits = near_bits
        self._file_of: dict[str, str] = {}
        self._names: list[str] = []
        self._hashes = np.zeros(256, np.uint64)
        self._shapes = np.zeros(256, np.float32)

    def add(self, file: str, sha256: str, phash: str, width: int, height: int) -> None:
        """A picture that is in. `phash` "" is compared with nothing."""
        self._file_of[sha256] = file
        if not phash or not height:
            return
        count = len(self._names)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._shapes = np.concatenate([self._shapes, np.zeros_like(self._shapes)])
        self._hashes[count], self._shapes[count] = int(phash, 16), width / height
        self._names.append(file)

    def same(self, sha256: str) -> str | None:
        """The file with these bytes."""
        return self._file_of.get(sha256)

    def near(self, phash: str, width: int, height: int) -> str | None:
        """The first file that looks the same: at most `near_bits` of 64 bits differ, and its shape is equal."""
        count = len(self._names)
        if not phash or not height or not count or self._near_bits < 0:
            return None
        apart = np.bitwise_count(self._hashes[:count] ^ np.uint64(int(phash, 16)))
        shape = width / height
        alike = (apart <= self._near_bits) & (np.abs(self._shapes[:count] - shape) <= SHAPE * shape)
        place = int(alike.argmax())
        return self._names[place] if alike[place] else None
