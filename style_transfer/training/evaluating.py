"""Scores on the evaluation split, and what TensorBoard shows of fixed examples of it."""

import collections
import itertools
import json
import pathlib

import keras
import numpy as np
from keras import ops, tree

from style_transfer.training import checkpoints, run_record

METRICS_FILE = "metrics.json"
NUM_EXAMPLES = 4


class Scorer(keras.Model):
    """Scores of clips: their `loss`, and the loss's named `terms` if it has any.

    A score of many clips is the sum of their sums over that of their weights, so that it does not
    depend on the batches they come in. A loss whose values for a clip depend on the others of its
    batch has a method `sums`, which gives both, `(sum [batch], weight [batch])` by name; the values
    of other losses are such sums, and weigh 1.

    Args:
        model: The built model to score.
        loss: A `keras.losses.Loss`.
        with_prediction: Whether the prediction is given back too.
    """

    def __init__(self, model, loss, with_prediction=True):
        super().__init__()
        self.model, self.loss_function = model, loss
        self.with_prediction, self._batch_size = with_prediction, None
        # Keras would compile with XLA on TensorFlow too, which takes longer than it saves.
        self.jit_compile = keras.backend.backend() == "jax"

    def call(self, inputs):
        """Dict of `sums` and, if wanted, the `prediction`, of `{"x": inputs, "y": targets}`."""
        prediction = self.model(inputs["x"])
        found = {"sums": self._sums(inputs["y"], prediction)}
        return {"prediction": prediction, **found} if self.with_prediction else found

    def _sums(self, target, prediction):
        if hasattr(self.loss_function, "sums"):
            return self.loss_function.sums(target, prediction)
        terms = getattr(self.loss_function, "terms", None)
        scores = {} if terms is None else terms(target, prediction)
        scores = {"loss": self.loss_function.call(target, prediction), **scores}
        values = {name: _mean_of_clip(value) for name, value in scores.items()}
        return {name: (value, ops.ones_like(value)) for name, value in values.items()}

    def score(self, x, y):
        """Scores a batch, filled up to the size of the first: another would be compiled for.

        Args:
            x: Inputs.
            y: Targets.

        Returns:
            As `call`, NumPy arrays for the clips that were given.
        """
        count = len(tree.flatten(y)[0])
        self._batch_size = max(self._batch_size or 0, count)

        def fill(value):
            return np.resize(np.asarray(value), (self._batch_size, *value.shape[1:]))

        filled = self.predict_on_batch(tree.map_structure(fill, {"x": x, "y": y}))
        return tree.map_structure(lambda value: np.asarray(value)[:count], filled)


class Evaluator:
    """Evaluates a model on data that stay the same.

    Args:
        model: The built model.
        loss: A `keras.losses.Loss`.
        data: Batches `(x, y)`, finite, the same at each iteration.
        max_batches: Stop after so many; None takes all.
        write_example: See `configs.Config.build_example_writer`; None for none.
        build_metrics: Called without arguments before each run: a `configs.Metrics` whose scores
            are added; None for none.
        build_probe: Called without arguments before each run: a `configs.Probe`; None for none.
        embed: Called without arguments: `projector.Embedding`s to show; None for none.
    """

    def __init__(self, model, loss, data, max_batches=None, write_example=None,
                 build_metrics=None, build_probe=None, embed=None):
        self._model, self._data, self._max_batches = model, data, max_batches
        self._scorer = Scorer(model, loss)
        self._write_example = write_example
        self._build_metrics, self._build_probe = build_metrics, build_probe
        self._probe, self._embed = None, embed

    def run(self):
        """Scores the model with the weights it has.

        Returns:
            The scores of all clips, a dict, and the first clips as a list of
            `(target, prediction)`, arrays or dicts of them.

        Raises:
            ValueError: There are no data.
        """
        sums, weights, examples = collections.Counter(), collections.Counter(), []
        metrics = self._build_metrics() if self._build_metrics else None
        probe = self._probe = self._build_probe() if self._build_probe else None
        with checkpoints.fixed_randomness(self._model):
            for x, y in itertools.islice(iter(self._data), self._max_batches):
                target = tree.map_structure(np.asarray, y)
                scored = self._scorer.score(x, target)
                prediction = scored["prediction"]
                if metrics is not None:
                    metrics.update(target, prediction)
                if probe is not None:
                    probe.update(x, y)
                count = len(tree.flatten(target)[0])
                examples += [(_clip(target, i), _clip(prediction, i))
                             for i in range(min(count, NUM_EXAMPLES - len(examples)))]
                for name, (total, weight) in scored["sums"].items():
                    sums[name] += float(np.sum(total, dtype=np.float64))
                    weights[name] += float(np.sum(weight, dtype=np.float64))
        if not examples:
            raise ValueError("The evaluation split has no examples. Make examples with a larger "
                             "--eval_ratio, or train with --eval_interval=0.")
        names = ["loss", *(name for name in sums if name != "loss")]
        means = {name: sums[name] / max(weights[name], 1e-6) for name in names}
        for extra in (metrics, probe):
            if extra is not None:
                means |= extra.result()
        return means, examples

    def write(self, writer, step, scores, examples):
        """Writes scores and examples to TensorBoard."""
        writer.scalars(step, scores)
        if self._write_example is not None:
            for index, (target, prediction) in enumerate(examples):
                self._write_example(writer, step, f"example_{index}", target, prediction)
        if self._probe is not None:
            self._probe.write(writer, step)
        if self._embed is not None:
            writer.embeddings(self._embed())
        writer.flush()


def read_scores(run_dir):
    """Scores recorded by earlier evaluations, a dict from step to dict."""
    path = _metrics_path(run_dir)
    if not path.exists():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {entry.pop("step"): entry for entry in entries}


def record_scores(run_dir, step, scores):
    """Adds scores to `eval/metrics.json`."""
    every = {**read_scores(run_dir), step: scores}
    run_record.write_json(_metrics_path(run_dir), [{"step": s, **every[s]} for s in sorted(every)])


def _metrics_path(run_dir):
    return pathlib.Path(run_dir) / "eval" / METRICS_FILE


def _mean_of_clip(value):
    axes = tuple(range(1, len(value.shape)))
    return ops.mean(value, axis=axes) if axes else value


def _clip(values, index):
    return tree.map_structure(lambda value: value[index], values)


def derangement(pieces):
    """Gives each clip of a batch another one, of other music or on another piano.

    Args:
        pieces: What music each clip is of, or what piano, int `[batch]`.

    Returns:
        Index of the other clip, int `[batch]`, a permutation; and where it is of another piece,
        boolean `[batch]`: everywhere, unless one piece has more than half of the clips.
    """
    pieces = np.asarray(pieces)
    if not len(pieces):
        return np.zeros(0, int), np.zeros(0, bool)
    by_piece = np.argsort(pieces, kind="stable")
    largest = int(np.bincount(np.unique(pieces, return_inverse=True)[1]).max())
    order = np.empty(len(pieces), int)
    order[by_piece] = np.roll(by_piece, -largest)
    return order, pieces[order] != pieces
