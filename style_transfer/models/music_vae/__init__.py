"""MusicVAE: a variational autoencoder of short melodies, drum patterns and trios."""

import lazy_loader

# Keras is imported with the nets, not with the options beside them.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"net": ["MusicVae"]})
