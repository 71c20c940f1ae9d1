"""Piano recordings to notes, with Onsets and Frames."""

import lazy_loader

# A command's flags need the thresholds only.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "thresholds": ["Thresholds"],
    "transcriber": ["Transcription", "transcribe"],
})
