"""What a music file may ask for before its conversion is refused."""

import dataclasses


class UnreadableFileError(ValueError):
    """A music file that is skipped.

    Attributes:
        reason: A short phrase that is the same for all files of this kind, for counting.
        detail: What was found in this file.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self):
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclasses.dataclass(frozen=True)
class ConversionLimits:
    """Bounds that no honest file reaches and that keep a hostile one cheap.

    Attributes:
        max_file_bytes: Size of the file, and of what a compressed `.mxl` unpacks to.
        max_ticks: Tick of the last event of a MIDI file. Ticks cost nothing here, but gigabytes in
            readers that tabulate the time of each, such as pretty_midi.
        max_qpm: Fastest tempo, quarter notes per minute.
        max_duration_secs: Time of the last note, control or signature, seconds.
        max_notes: Notes in one file.
        max_controls: Control changes and pitch bends in one file.
    """

    max_file_bytes: int = 32 << 20
    max_ticks: int = 1_000_000_000
    max_qpm: float = 60_000.0
    max_duration_secs: float = 12 * 3600.0
    max_notes: int = 1_000_000
    max_controls: int = 5_000_000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be positive, got {value}.")

    def check(self, reason: str, value: float, field: str) -> None:
        """Refuses the file for `reason` if `value` exceeds the limit named `field`."""
        limit = getattr(self, field)
        if value > limit:
            raise UnreadableFileError(reason, f"{value:.15g}, at most {limit:.15g} ({field})")
