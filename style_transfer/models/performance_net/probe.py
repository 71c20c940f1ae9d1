"""Whether a model uses its notes and its clip: `content_gain_db`, `style_gain_db`."""

import numpy as np

from style_transfer.training import evaluating

SWAPPED = {"content": ("roll", "piece"), "style": ("style_audio", "timbre")}


class UsageProbe:
    """Scores a model with notes of another piece, and with clips of another piano.

    A gain is the mean difference of log-mel bands in dB with the wrong input minus that with the
    right one: 0 of a model that does not use it. A `configs.Probe`.

    Args:
        model: The built model.
        loss: A `SpectrogramLoss`.
    """

    def __init__(self, model, loss):
        self._scorer = evaluating.Scorer(model, loss, with_prediction=False)
        self._gains = {name: [] for name in SWAPPED}

    def update(self, x, y):
        """Takes a batch; clips without another piece or piano beside them in it do not count."""
        x, y = {name: np.asarray(value) for name, value in x.items()}, np.asarray(y)
        right = self._score(x, y)
        for name, (swapped, label) in SWAPPED.items():
            order, is_other = evaluating.derangement(x[label])
            if is_other.any():
                wrong = self._score({**x, swapped: x[swapped][order]}, y)
                self._gains[name].extend((wrong - right)[is_other])

    def result(self):
        """The gains that could be measured."""
        return {f"{name}_gain_db": float(np.mean(values))
                for name, values in self._gains.items() if values}

    def write(self, writer, step):
        """Shows nothing of its own."""

    def _score(self, x, y):
        value, weight = self._scorer.score(x, y)["sums"]["log_mel_db"]
        return value / weight
