"""What one file may cost, what it must be, and the error of a file that is not taken."""

from dataclasses import dataclass

from ferlib.common.errors import FerlibError
from ferlib.common.images import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """What one file may cost, and what it must be.

    Seconds to connect, between two reads, and for the whole file; bytes at most; pixels of the shorter
    side at least, pixels in all at most; tries after the first, and the pause before the second of
    them in seconds (it doubles).

    `min_faces`: faces that the detector must find in a picture; 0 does not look. `near_bits`: two
    pictures of one shape whose perceptual hashes differ in at most so many of 64 bits are near copies;
    -1 leaves near copies in. `per_second`: requests a second to one host; None is 10 for hosts
    elsewhere and no limit for this machine; 0 is no limit.
    """

    connect_s: float = 5.0
    read_s: float = 15.0
    deadline_s: float = 60.0
    max_bytes: int = 20_000_000
    min_side: int = 160
    max_pixels: int = MAX_PIXELS
    retries: int = 3
    pause_s: float = 0.2
    min_faces: int = 0
    near_bits: int = 4
    per_second: float | None = None


class Rejected(FerlibError):
    """A file that is not taken. The message is the manifest's `reason`; sizes are 0 where unknown.

    `status`: the HTTP status where that is the reason, else 0.
    """

    def __init__(self, reason: str, width: int = 0, height: int = 0, status: int = 0):
        super().__init__(reason)
        self.width, self.height, self.status = width, height, status
