"""How sure a transcriber must be of notes and pedal."""

import dataclasses

from style_transfer.options import option


def _threshold(name, default, text):
    return option(default, text, low=0.0, high=1.1, flag=f"{name}_threshold")


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How sure the model must be; all are probabilities but the last.

    Attributes:
        onset: Of a peak that begins a note.
        frame: Of a frame in which a string goes on sounding.
        offset: Of a peak that ends a note that still sounds; above 1 for never.
        key: Of a frame in which a key goes on being held.
        pedal: Of a sustain pedal that is down.
        min_note_secs: Shorter notes are left out, seconds.
    """

    onset: float = _threshold("onset", 0.35, "How sure the transcriber must be that a note begins; "
                              "higher finds fewer.")
    frame: float = _threshold("frame", 0.5, "How sure the transcriber must be that a string goes "
                              "on sounding; higher makes notes shorter.")
    offset: float = _threshold("offset", 0.5, "How sure the transcriber must be that a sounding "
                               "note ends; above 1, only silence ends notes.")
    key: float = _threshold("key", 0.5, "How sure the transcriber must be that a key is still held "
                            "while the pedal is down.")
    pedal: float = _threshold("pedal", 0.5, "How sure the transcriber must be that the sustain "
                              "pedal is down; above 1, it never is.")
    min_note_secs: float = option(0.03, "Shorter notes are left out of a transcription.", low=0.0)
