"""What small symbolic models give, on the backend of KERAS_BACKEND: see `test_jax.py`.

python -m tests.symbolic.one_step folder_with_weights output.npz
"""

import sys

import keras
import numpy as np

from style_transfer.models.drums_rnn.net import DrumsRnn
from style_transfer.models.music_vae.net import MusicVae
from style_transfer.symbolic.loss import MusicVaeLoss, NextClassLoss
from style_transfer.training.trainer import FittedModel

BATCH, STEPS = 4, 8


def models():
    """New models, built."""
    keras.utils.set_random_seed(0)
    found = {
        "drums": DrumsRnn(input_size=7, num_classes=5, rnn_layer_sizes=(4, 3), attn_length=3,
                          dropout_keep_prob=1.0),
        "flat": MusicVae(max_seq_len=STEPS, z_size=3, enc_rnn_size=(4,), dec_rnn_size=(5, 4),
                         input_depth=6, output_depths=(6,), sampling_schedule="inverse_sigmoid",
                         sampling_rate=10.0),
        "trio": MusicVae(max_seq_len=STEPS, z_size=3, enc_rnn_size=(4,), dec_rnn_size=(5,),
                         input_depth=6, output_depths=(2, 4), level_lengths=(4, 2))}
    for model in found.values():
        model.build(None)
    return found


def outcome(folder):
    """Numbers of the models with the weights in `folder`: a dict of arrays.

    All but those beginning with `losses` are the same on every backend.
    """
    rng = np.random.default_rng(0)
    found = {}
    for name, model in models().items():
        model.load_weights(f"{folder}/{name}.weights.h5")
        if name == "drums":
            x = {"inputs": rng.normal(size=(BATCH, STEPS, 7)).astype(np.float32)}
            y = {"labels": rng.integers(5, size=(BATCH, STEPS)), "lengths": np.array([8, 5, 8, 2])}
            loss = NextClassLoss()
            found["drums logits"] = np.asarray(model(x))
            found["drums loss"] = np.asarray(loss(y, model(x)))
        else:
            outputs = np.concatenate([
                np.eye(depth, dtype=np.float32)[rng.integers(depth, size=(BATCH, STEPS))]
                for depth in model.output_depths], axis=-1)
            y = {"outputs": outputs, "lengths": np.full(BATCH, STEPS)}
            x = {"inputs": outputs, **y}
            loss = MusicVaeLoss(output_depths=model.output_depths)
            found[f"{name} mu"], found[f"{name} sigma"] = map(np.asarray, model.encode(outputs))
            z = rng.normal(size=(BATCH, 3)).astype(np.float32)
            found[f"{name} logits"] = np.asarray(model.decode(z, outputs))
            found[f"{name} likeliest"] = np.asarray(model.sample(z, temperature=0))
        fitted = FittedModel(model, loss)
        fitted.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
        fitted.optimizer.build(model.trainable_variables)  # or the step's graph is made twice
        found[f"losses {name}"] = np.array([fitted.train_on_batch(x, y) for _ in range(20)])
        if name == "drums":
            found["drums logits after training"] = np.asarray(model(x))
    return found


if __name__ == "__main__":
    np.savez(sys.argv[2], **outcome(sys.argv[1]))
