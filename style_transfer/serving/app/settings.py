"""What the page's server accepts and keeps."""

import dataclasses

from style_transfer.serving.server.limits import MEBIBYTE, Limits


@dataclasses.dataclass(frozen=True)
class AppLimits(Limits):
    """The embedded server's limits, and what is kept between requests.

    Attributes:
        midi_bytes: Largest MIDI or `.piano` file.
        uploads: Most uploaded files kept.
        results: Most results kept.
        keep_secs: How long they are kept unused.
        unwatched_secs: How long a job goes on that nobody looks at.
    """

    clip_secs: float = 600.0
    content_secs: float = 600.0
    queue: int = 4
    midi_bytes: int = 4 * MEBIBYTE
    uploads: int = 40
    results: int = 12
    keep_secs: float = 3600.0
    unwatched_secs: float = 20.0
