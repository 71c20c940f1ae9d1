"""Whether codes and style are used, and how many codes: what the loss alone does not tell."""

import numpy as np

from style_transfer.layers.vector_quantizer import perplexity
from style_transfer.signal import log_mel


class Usage:
    """Scores of an evaluation, a `configs.Probe`.

    `log_mel_db_other_style` and `log_mel_db_other_content` are what `log_mel_db` becomes where a
    clip gets the style, or the content, of the clip before it: what is no worse is not used.
    `perplexity` is that of the codebooks over all clips, the mean of several.

    Args:
        model: The `SSVQVAE`.
        loss: Its loss.
    """

    def __init__(self, model, loss):
        self._model, self._loss = model, loss
        quantizer = model.content_encoder.quantizer
        self._counts = np.zeros((quantizer.num_codebooks, quantizer.num_codes))
        self._sums = {"style": 0.0, "content": 0.0}
        self._num_clips = 0

    def update(self, x, y):
        """Takes a batch."""
        encoder = self._model.content_encoder
        codes = np.asarray(encoder.quantizer.codes(
            encoder.vectors(log_mel.of_audio(x["content_audio"]))))
        for book, counts in enumerate(self._counts):
            counts += np.bincount(codes[..., book].ravel(), minlength=len(counts))
        for name in self._sums:
            swapped = {**x, f"{name}_audio": np.roll(x[f"{name}_audio"], 1, axis=0)}
            terms = self._loss.terms(y, self._model(swapped))
            self._sums[name] += float(np.sum(np.asarray(terms["log_mel_db"])))
        self._num_clips += len(codes)

    def result(self):
        """The scores."""
        found = {f"log_mel_db_other_{name}": total / max(self._num_clips, 1)
                 for name, total in self._sums.items()}
        return {**found, "perplexity": float(np.mean(perplexity(self._counts)))}

    def write(self, writer, step):
        """Scores are all there is to show."""
