"""Steps of training beside the same model in PyTorch, on one thread of one CPU.

    python -m benchmarks.training_speed                  # ours in float32 and with XLA
    TORCH_PYTHON=/path/to/python python -m benchmarks.training_speed

The model is the net of the timbre metric: four convolutions of width 64 over 2 x 32 clips of 256
frames of MFCC with batch norm, ReLU and pooling, a triplet loss within the batch, Adam.
`TORCH_PYTHON` is an interpreter with PyTorch. Both get the same random clips; what is compared is
processor time of a step, the least of several rounds, so that other work counts less.
"""

import argparse
import json
import os
import subprocess
import sys
import time

BATCH, FRAMES, COEFFICIENTS, WIDTH, POOLS = 32, 256, 12, 64, (4, 4, 4, 2)
ROUNDS, STEPS, WARM_UP = 5, 10, 5


def data():
    """The clips and the numbers of their timbres."""
    import numpy as np

    rng = np.random.default_rng(0)
    clips = rng.normal(size=(BATCH, 2, FRAMES, COEFFICIENTS)).astype(np.float32)
    return clips, rng.integers(0, 8, BATCH).astype(np.int32)


def timed(step):
    """Least processor and wall seconds of a step, and the first and last losses."""
    losses = [float(step()) for _ in range(WARM_UP)]
    found = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        losses += [float(step()) for _ in range(STEPS)]
        found.append(((time.process_time() - cpu) / STEPS, (time.perf_counter() - wall) / STEPS))
    return {"cpu": min(cpu for cpu, _ in found), "wall": min(wall for _, wall in found),
            "losses": [losses[0], losses[-1]]}


def ours(jit_compile):
    """Our loop, as `style_transfer_train` runs it on one device."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    from style_transfer import training
    from style_transfer.models.timbre_metric.net import TimbreNet, TripletLoss
    from style_transfer.training.trainer import FittedModel

    keras.utils.set_random_seed(0)
    clips, timbres = map(tf.constant, data())
    model = TimbreNet(WIDTH)
    model.build(None)
    optimizer = training.build_optimizer(1e-3, schedule="constant")
    optimizer.build(model.trainable_variables)
    fitted = FittedModel(model, TripletLoss())
    fitted.compile(optimizer=optimizer, jit_compile=jit_compile, auto_scale_loss=False)
    fitted.train_on_batch(clips, timbres)
    batches = iter(tf.data.Dataset.from_tensors((clips, timbres)).repeat())
    function = fitted.make_train_function() or fitted.train_function
    return timed(lambda: function(batches)["loss"])


def pytorch():
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    clips, timbres = map(torch.from_numpy, data())
    layers, channels = [], COEFFICIENTS
    for length in POOLS:
        layers += [torch.nn.Conv1d(channels, WIDTH, length, padding="same"),
                   torch.nn.BatchNorm1d(WIDTH, eps=1e-3, momentum=0.01), torch.nn.ReLU(),
                   torch.nn.MaxPool1d(length)]
        channels = WIDTH
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    other = (timbres[:, None] != timbres[None]).float()
    count = other.sum(1).clamp(min=1)

    def step():
        optimizer.zero_grad()
        found = net(clips.reshape(-1, FRAMES, COEFFICIENTS).transpose(1, 2)).mean(-1)
        found = torch.nn.functional.normalize(found, dim=-1).reshape(BATCH, 2, WIDTH)
        cosines = found[:, 0] @ found[:, 1].T
        beyond = cosines - (found[:, 0] * found[:, 1]).sum(-1, keepdim=True)
        loss = ((other * torch.relu(beyond + 0.1)).sum(1) / count).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return {**timed(step), "version": torch.__version__}


SIDES = {"ours": lambda: ours(False), "ours, XLA": lambda: ours(True), "PyTorch": pytorch}


def measured(side):
    """A side's figures, from a process of its own."""
    interpreter = os.environ.get("TORCH_PYTHON") if side == "PyTorch" else sys.executable
    if not interpreter:
        return None
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([interpreter, __file__, "--side", side], text=True, check=True,
                          stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measures each side, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=SIDES)
    side = parser.parse_args().side
    if side:
        print(json.dumps(SIDES[side]()))
        return
    found = {name: measured(name) for name in SIDES}
    reference = found["PyTorch"] or found["ours"]
    print("| | processor ms a step | wall ms a step | speed by processor time | loss |\n"
          "|---|---|---|---|---|")
    base = "PyTorch" if found["PyTorch"] else "ours"
    for name, row in found.items():
        if row:
            print(f"| {name} | {1e3 * row['cpu']:.1f} | {1e3 * row['wall']:.1f} | "
                  f"{reference['cpu'] / row['cpu']:.2f} of {base}'s | "
                  f"{row['losses'][0]:.3f} to {row['losses'][1]:.3f} |")


if __name__ == "__main__":
    main()
