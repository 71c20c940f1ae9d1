"""Fitting a piano to a clip, offered by the embedded server as one more signature, `adapt`.

TensorFlow Serving cannot train; what `adapt` gives is what `play` takes, there or here.
"""

import threading

import numpy as np

from style_transfer.serving.errors import InvalidRequestError

NAME = "adapt"
INPUTS = {"style_bytes": ((None,), object), "style_content_bytes": ((None,), object),
          "steps": ((None,), np.int32), "seed": ((None,), np.int32)}
OPTIONAL = ("style_content_bytes", "steps", "seed")


class AdaptSignature:
    """Estimates pianos from clips; notes that are not given are transcribed.

    Args:
        model: A function that gives the Keras model.
        limits: `Limits`.
    """

    def __init__(self, model, limits):
        self.model, self.limits = model, limits
        self._lock = threading.Lock()  # the fit keeps one compiled adapter

    def __call__(self, inputs, stop):
        """Arrays that `play` takes, batch first, from checked arrays of `INPUTS`.

        Args:
            inputs: Dict of arrays.
            stop: `Stop` by which another thread ends the fit, between two of its steps.
        """
        count = len(inputs["style_bytes"])
        steps = inputs.get("steps")
        seeds = inputs.get("seed", np.zeros(count, np.int32))
        if np.any(seeds < 0) or (steps is not None and not np.all(
                (steps >= 0) & (steps <= self.limits.adapt_steps))):
            raise InvalidRequestError(
                f"steps must lie between 0 and {self.limits.adapt_steps}, and "
                "seed must not be negative.")
        contents = inputs.get("style_content_bytes", [None] * count)
        with self._lock:
            rows = [self._one(stop, *row) for row in zip(
                inputs["style_bytes"], contents,
                [None] * count if steps is None else steps.tolist(), seeds, strict=True)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _one(self, stop, style, content, steps, seed):
        import warnings

        from style_transfer import audio
        from style_transfer.models.piano_ddsp import estimate

        model = self.model()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # what is odd about the clip
                piano = estimate.estimate_piano(
                    audio.load(style), style_midi=content, adapt_steps=steps, seed=int(seed),
                    model=model, progress=stop.check)
        except (ValueError, FileNotFoundError) as error:  # no weights to transcribe with
            raise InvalidRequestError(str(error)) from error
        return piano_arrays(piano, model)


def piano_arrays(piano, model):
    """A `Piano` as the inputs of `play`, without the batch.

    Args:
        piano: A `Piano`.
        model: The `PianoDDSP` that it was estimated with.
    """
    from style_transfer.models.piano_ddsp import estimate

    shapes = estimate.correction_shapes(model)
    corrections = piano.corrections or {}
    arrays = {name: corrections.get(name, np.zeros(shape)) for name, shape in shapes.items()}
    arrays |= {"style": piano.style, "f0_hz": piano.f0_hz, "inharmonicity": piano.inharmonicity,
               "loudness_db": piano.loudness_db}
    return {name: np.asarray(value, np.float32) for name, value in arrays.items()}
