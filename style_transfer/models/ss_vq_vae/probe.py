"""Whether content and style are used, and how many codes."""

import numpy as np

from style_transfer.layers.vector_quantizer import perplexity
from style_transfer.signal import log_mel
from style_transfer.spectrograms.usage import UsageProbe

SWAPPED = {"content": ("content_audio", "piece"), "style": ("style_audio", "timbre")}


class CodesProbe(UsageProbe):
    """`content_gain_db`, `style_gain_db`, and `perplexity`: that of the codes of all clips.

    Of several codebooks it is the mean.

    Args:
        model: The `SSVQVAE`.
        loss: Its loss.
    """

    def __init__(self, model, loss):
        super().__init__(model, loss, SWAPPED)
        self._encoder = model.content_encoder
        quantizer = self._encoder.quantizer
        self._counts = np.zeros((quantizer.num_codebooks, quantizer.num_codes))

    def update(self, x, y):
        """Takes a batch."""
        super().update(x, y)
        vectors = self._encoder.vectors(log_mel.of_audio(x["content_audio"]))
        codes = np.asarray(self._encoder.quantizer.codes(vectors))
        for book, counts in enumerate(self._counts):
            counts += np.bincount(codes[..., book].ravel(), minlength=len(counts))

    def result(self):
        """The scores."""
        return {**super().result(), "perplexity": float(np.mean(perplexity(self._counts)))}
