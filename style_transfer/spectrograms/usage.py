"""Whether a model uses what it is told: what the loss alone does not say."""

import numpy as np

from style_transfer.training import evaluating


class UsageProbe:
    """Scores a model told of other clips; a `configs.Probe`.

    A gain is the mean score with the wrong input minus that with the right one: 0 of a model that
    does not use it.

    Args:
        model: The built model.
        loss: Its loss.
        swapped: What is told -> the input that tells it and the one that numbers its kinds, such as
            `{"style": ("style_audio", "timbre")}`: the wrong input is of another kind.
        score: Name of the score that is compared.
        unit: Its unit, for the gains' names.
    """

    def __init__(self, model, loss, swapped, score="log_mel_db", unit="db"):
        self._scorer = evaluating.Scorer(model, loss, with_prediction=False)
        self._swapped, self._score_name, self._unit = swapped, score, unit
        self._gains = {name: [] for name in swapped}

    def update(self, x, y):
        """Takes a batch; clips without one of another kind beside them in it do not count."""
        x, y = {name: np.asarray(value) for name, value in x.items()}, np.asarray(y)
        right = self._score(x, y)
        for name, (told, label) in self._swapped.items():
            order, is_other = evaluating.derangement(x[label])
            if is_other.any():
                wrong = self._score({**x, told: x[told][order]}, y)
                self._gains[name].extend((wrong - right)[is_other])

    def result(self):
        """The gains that could be measured."""
        return {f"{name}_gain_{self._unit}": float(np.mean(values))
                for name, values in self._gains.items() if values}

    def write(self, writer, step):
        """Shows nothing of its own."""

    def _score(self, x, y):
        value, weight = self._scorer.score(x, y)["sums"][self._score_name]
        return value / weight
