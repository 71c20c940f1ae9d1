"""One-shot piano style transfer: a piece of music, played on the piano of a recording.

`style_transfer.transfer(content, style)` is the main job, `style_transfer.load()` the model,
`style_transfer.transcribe(recording)` gives the notes of a recording.
"""

import lazy_loader

__version__ = "0.1.0"

# Importing the package stays fast; TensorFlow loads only when something is played.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "audio": ["Audio"],
    "models.piano_ddsp.piano": ["Piano"],
    "models.piano_ddsp.one_shot": ["estimate_piano", "load", "transfer"],
    "transcription": ["transcribe"],
})
