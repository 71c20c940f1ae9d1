"""Whether a model uses its notes and its clip: `content_gain_db`, `style_gain_db`."""

from style_transfer.spectrograms import usage

SWAPPED = {"content": ("roll", "piece"), "style": ("style_audio", "timbre")}


class UsageProbe(usage.UsageProbe):
    """See `usage.UsageProbe`; notes of another piece, and clips of another piano.

    Args:
        model: The built model.
        loss: A `SpectrogramLoss`.
    """

    def __init__(self, model, loss):
        super().__init__(model, loss, SWAPPED)
