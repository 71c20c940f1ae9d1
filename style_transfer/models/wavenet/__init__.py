"""WaveNet: piano audio from notes, sample by sample or all at once."""

import lazy_loader

# Keras is imported with the nets, not with the options beside them.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "net": ["WaveNet"], "spectral_wavenet": ["SpectralWaveNet"]},
)
