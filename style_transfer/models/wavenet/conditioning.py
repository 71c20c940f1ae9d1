"""How much a model uses its MIDI, while it is trained: `conditioning_gain`, `onset_f1`."""

import numpy as np
from keras import ops, tree

from style_transfer import pictures
from style_transfer.training import evaluating, summaries

MAX_EXAMPLES = 2
SAMPLE_SEED = 0


class ConditioningProbe:
    """Measures `conditioning_gain` and `onset_f1`, and makes examples; a `configs.Probe`.

    The gain is the loss with another piece's MIDI minus that with the right one, nats per sample.
    A decoder that has learned to ignore its MIDI has 0. Onset F1 is that of free-running audio,
    transcribed, against its MIDI; see `evaluate.free_running_scores`.

    Args:
        model: The built model, called with dicts of `roll` and, from the evaluation data, `piece`.
        loss: Its loss.
        listen_clips: How many clips are made and listened to; 0 for none.
    """

    def __init__(self, model, loss, listen_clips=0):
        self._model = model
        self._scorer = evaluating.Scorer(model, loss, with_prediction=False)
        self._listen_clips, self._to_hear = listen_clips, []
        self._right, self._shuffled = [], []
        self._examples = None

    def update(self, x, y):
        """Takes a batch; clips without another piece beside them in it do not count."""
        x, y = tree.map_structure(np.asarray, (dict(x), y))
        count = len(x["roll"])
        if self._examples is None:
            self._examples = {name: value[:MAX_EXAMPLES] for name, value in x.items()}
        missing = self._listen_clips - sum(len(part["roll"]) for part in self._to_hear)
        if missing > 0:
            self._to_hear.append({name: value[:missing] for name, value in
                                  {**x, "audio": y["audio"] if isinstance(y, dict) else y}.items()})
        order, is_other = evaluating.derangement(x.get("piece", np.arange(count)))
        if not is_other.any():
            return
        right = self._score(x, y)
        shuffled = self._score({**x, "roll": x["roll"][order]}, y)
        self._right.extend(right[is_other])
        self._shuffled.extend(shuffled[is_other])

    def result(self):
        """What was measured: the gain unless there was never another piece, F1 if asked for."""
        found = {}
        if self._right:
            found["conditioning_gain"] = float(np.mean(self._shuffled) - np.mean(self._right))
        if self._to_hear:
            from style_transfer.models.wavenet import evaluate

            x = {name: np.concatenate([part[name] for part in self._to_hear])
                 for name in self._to_hear[0]}
            scores = evaluate.free_running_scores(self._model, x, seed=SAMPLE_SEED)
            found.update({name: scores[name] for name in ("onset_f1", "chance_onset_f1")
                          if np.isfinite(scores[name])})
        return found

    def write(self, writer, step):
        """Shows the first clips: roll, recording, what is expected of each sample, free running."""
        if self._examples is None or not hasattr(self._model, "expected"):
            return
        from style_transfer.models.wavenet.engine import generation

        x, rate = self._examples, self._model.sample_rate
        expected = ops.convert_to_numpy(self._model.expected(self._model(x)["logits"]))
        piano = x.get("style", x.get("piano_id"))
        sampled = generation.generate(self._model, x["roll"], SAMPLE_SEED, 1.0, style=piano)
        for index, (roll, target) in enumerate(zip(x["roll"], x["audio"], strict=True)):
            tag = f"example_{index}"
            clips = [summaries.make_audio(samples, rate) for samples in
                     (target, expected[index], sampled[index])]
            for name, clip in zip(("target", "expected", "free_running"), clips, strict=True):
                writer.audio(step, f"{tag}/{name}", clip)
            writer.picture(step, f"{tag}/roll", pictures.roll_pixels(roll))
            for name, clip in zip(("expected", "free_running"), clips[1:], strict=True):
                writer.picture(step, f"{tag}/target_over_{name}",
                               summaries.comparison_picture(clips[0], clip))

    def _score(self, x, y):
        """Nats a sample of each clip, or losses that say none."""
        sums = self._scorer.score(x, y)["sums"]
        value, weight = sums.get("nll", sums["loss"])
        return value / weight
