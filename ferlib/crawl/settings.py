"""The settings of a crawl, and the error for a file that is not kept."""

import re
from dataclasses import dataclass

from ferlib.common.errors import BadInputError, FerlibError
from ferlib.common.images import MAX_PIXELS


@dataclass(frozen=True)
class CrawlSettings:
    """What a download may cost, what a picture must be, and how the crawler behaves towards sites.

    Args:
        workers: Downloads at the same time, at least 1.
        connect_s: Seconds to wait for a connection.
        read_s: Seconds to wait between two reads.
        deadline_s: Seconds for a whole download, without the time spent waiting for the host's turn.
        max_bytes: Largest size of a file.
        retries: Attempts after the first one; an answer that is not complete in time is tried once more only.
        pause_s: Backoff factor of the retries in seconds; the pause doubles with each attempt.
        per_second: Requests per second to one host; 0 is no limit, None is 10 (no limit for this machine).
        min_side: Smallest length of the shorter side in pixels.
        max_pixels: Largest number of pixels.
        min_faces: Number of faces that the detector must find; 0 does not look for faces.
        near_bits: Two pictures of one shape are near copies if at most this many of the 64 bits of their
            perceptual hashes differ; -1 keeps near copies.
        obey_robots: Obey the robots.txt of each host. The search interfaces of Commons and Openverse are
            meant for programs and are used in any case.
        retry_rejected: Fetch results again that an earlier crawl rejected.
        contact: E-mail address or web page for the User-Agent, which Wikimedia asks for
            (https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy); "" for none.

    Raises:
        BadInputError: `workers` is less than 1, or `contact` is neither an e-mail address nor a web page.
    """

    workers: int = 4
    connect_s: float = 5.0
    read_s: float = 15.0
    deadline_s: float = 60.0
    max_bytes: int = 20_000_000
    retries: int = 3
    pause_s: float = 0.2
    per_second: float | None = None
    min_side: int = 160
    max_pixels: int = MAX_PIXELS
    min_faces: int = 0
    near_bits: int = 4
    obey_robots: bool = True
    retry_rejected: bool = False
    contact: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise BadInputError(f"workers is {self.workers}; it must be at least 1")
        pattern = r"[!-'*-~]+@[!-'*-~]+\.[!-'*-~]+|https?://[!-'*-~]+"
        if self.contact and not re.fullmatch(pattern, self.contact):
            raise BadInputError(
                f"the contact {self.contact!r} is neither an e-mail address nor a web page; "
                "give one such as you@example.org, or none"
            )


class Rejected(FerlibError):
    """A file that is not kept.

    Args:
        reason: The text of the manifest's column `reason`.
        width: Width in pixels, 0 if unknown.
        height: Height in pixels, 0 if unknown.
        status: The HTTP status if that is the reason, else 0.
    """

    def __init__(self, reason: str, width: int = 0, height: int = 0, status: int = 0):
        super().__init__(reason)
        self.width, self.height, self.status = width, height, status
