"""Whether a flow uses content and style, and how far its samples are from recordings."""

import numpy as np

from style_transfer.signal import log_mel
from style_transfer.spectrograms import making
from style_transfer.spectrograms.usage import UsageProbe

DB = 20 / np.log(10)
TEMPERATURES = (0.0, 0.7)


class SamplesProbe(UsageProbe):
    """`content_gain_bits`, `style_gain_bits`, a dimension; and of the first batch `log_mel_db_T`.

    That is how far samples of temperature T are from the recordings, dB.

    Args:
        model: The `GlowStyle`.
        loss: Its loss.
    """

    def __init__(self, model, loss):
        self._told = "content_audio" if model.hears else "roll"
        super().__init__(model, loss, {"content": (self._told, "piece"),
                                       "style": ("style_audio", "timbre")}, "loss", "bits")
        self._model, self._distances = model, {}

    def update(self, x, y):
        """Takes a batch."""
        super().update(x, y)
        if self._distances:
            return
        truth = np.asarray(log_mel.of_audio(x["audio"]))
        content = np.asarray(x[self._told])
        if self._model.hears:
            content = content.reshape(len(content), -1, log_mel.HOP_SAMPLES)
        style = self._model.encode_style(x["style_audio"])
        noise = np.broadcast_to(making.noise(truth.shape[1], 0), truth.shape)
        for temperature in TEMPERATURES:
            made = np.asarray(self._model.spectrogram(content, style, noise, temperature))
            self._distances[f"log_mel_db_{temperature:g}"] = float(DB * np.abs(made - truth).mean())

    def result(self):
        """The scores."""
        return {**super().result(), **self._distances}
