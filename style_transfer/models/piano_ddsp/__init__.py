"""A piano inferred from a clip of it, played from notes: the main job."""

import lazy_loader

# Keras is imported with the nets, not with the options beside them.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "net": ["PianoDDSP"], "piano": ["Piano"]},
)
