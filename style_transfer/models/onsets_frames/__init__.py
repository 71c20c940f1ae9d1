"""Onsets and Frames: recordings to notes, at Magenta's size and at ours."""

import lazy_loader

# Keras is imported with the nets, not with the options beside them.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "net": ["OnsetsFrames"], "harmonic_transcriber": ["HarmonicTranscriber"]},
)
