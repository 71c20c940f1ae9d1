"""Steps of training beside the same models in PyTorch, on one thread of one CPU.

    python -m benchmarks.training_speed      # ours: float32, XLA, 16 bits, accumulated gradients
    TORCH_PYTHON=/path/to/python python -m benchmarks.training_speed

Two models are trained by Adam: the net of the timbre metric, four convolutions of width 64 over
2 x 32 clips of 256 frames of MFCC with batch norm, ReLU and pooling, with a triplet loss within the
batch; and `performance_net` as it is by default, but told style vectors, on rolls of 4 x 4.1 s.
`TORCH_PYTHON` is an interpreter with PyTorch. Both get the same random data; what is compared is
processor time of a step, the least of several rounds, so that other work counts less. A step is an
update, for which `in two parts` makes two steps of half the batch.
"""

import argparse
import json
import os
import subprocess
import sys
import time

BATCH, FRAMES, COEFFICIENTS, WIDTH, POOLS = 32, 256, 12, 64, (4, 4, 4, 2)
ROLLS, ROLL_FRAMES, ROLL_DEPTH, STYLE, BANDS = 4, 4, 176, 64, 160
CHANNELS, SEPARATOR, TEXTURE_BANDS, TEXTURE_CHANNELS = (160, 192, 224, 256), 4, (2, 4, 8), 64
ROUNDS, STEPS, WARM_UP = 5, 10, 5
MODELS = ("timbre_metric", "performance_net")


def data(model):
    """What a model is told, and its targets: dicts and arrays of NumPy."""
    import numpy as np

    rng = np.random.default_rng(0)
    if model == "timbre_metric":
        clips = rng.normal(size=(BATCH, 2, FRAMES, COEFFICIENTS)).astype(np.float32)
        return clips, rng.integers(0, 8, BATCH).astype(np.int32)
    played = rng.uniform(size=(ROLLS, FRAMES * ROLL_FRAMES, ROLL_DEPTH)).astype(np.float32)
    x = {"roll": played * (played > 0.95),
         "style": rng.normal(size=(ROLLS, STYLE)).astype(np.float32)}
    return x, rng.normal(-3, 1, (ROLLS, FRAMES, BANDS)).astype(np.float32)


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


def ours(name, jit_compile=False, mixed_precision="float32", accumulate_steps=1):
    """Our loop, as `style_transfer_train` runs it on one device; arguments are its flags'."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    from style_transfer import training
    from style_transfer.training import precision
    from style_transfer.training.trainer import FittedModel

    keras.utils.set_random_seed(0)
    x, y = tf.nest.map_structure(
        lambda values: tf.constant(values[:len(values) // accumulate_steps]), data(name))
    model, loss = our_model(name)
    model.build(None)
    precision.lower(model, mixed_precision)
    optimizer = training.build_optimizer(1e-3, schedule="constant")
    optimizer.accumulate_steps = accumulate_steps
    optimizer.scales_loss = mixed_precision == "float16"
    optimizer.build(model.trainable_variables)
    fitted = FittedModel(model, loss)
    fitted.compile(optimizer=optimizer, jit_compile=jit_compile, auto_scale_loss=False)
    fitted.train_on_batch(x, y)
    batches = iter(tf.data.Dataset.from_tensors((x, y)).repeat())
    function = fitted.make_train_function() or fitted.train_function
    return {**timed(lambda: [function(batches)["loss"] for _ in range(accumulate_steps)][-1]),
            "parameters": sum(int(tf.size(value)) for value in model.trainable_variables)}


def our_model(name):
    """The model and its loss."""
    if name == "timbre_metric":
        from style_transfer.models.timbre_metric.net import TimbreNet, TripletLoss

        return TimbreNet(WIDTH), TripletLoss()
    from style_transfer.models.performance_net.loss import SpectrogramLoss
    from style_transfer.models.performance_net.net import PerformanceNet

    model = PerformanceNet(CHANNELS, style_size=STYLE, separator_size=SEPARATOR,
                           texture_bands=TEXTURE_BANDS, texture_channels=TEXTURE_CHANNELS)
    model.style_encoder.trainable = False
    return model, SpectrogramLoss()


def pytorch(name):
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, loss = {"timbre_metric": timbre_metric, "performance_net": performance_net}[name](
        torch, *data(name))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.detach()

    return {**timed(step), "version": torch.__version__,
            "parameters": sum(value.numel() for value in net.parameters())}


def timbre_metric(torch, clips, timbres):
    """The net of the timbre metric, and its loss as a function without arguments."""
    clips, timbres = map(torch.from_numpy, (clips, timbres))
    layers, channels = [], COEFFICIENTS
    for length in POOLS:
        layers += [torch.nn.Conv1d(channels, WIDTH, length, padding="same"),
                   torch.nn.BatchNorm1d(WIDTH, eps=1e-3, momentum=0.01), torch.nn.ReLU(),
                   torch.nn.MaxPool1d(length)]
        channels = WIDTH
    net = torch.nn.Sequential(*layers)
    other = (timbres[:, None] != timbres[None]).float()
    count = other.sum(1).clamp(min=1)

    def loss():
        found = net(clips.reshape(-1, FRAMES, COEFFICIENTS).transpose(1, 2)).mean(-1)
        found = torch.nn.functional.normalize(found, dim=-1).reshape(BATCH, 2, WIDTH)
        cosines = found[:, 0] @ found[:, 1].T
        beyond = cosines - (found[:, 0] * found[:, 1]).sum(-1, keepdim=True)
        return ((other * torch.relu(beyond + 0.1)).sum(1) / count).mean()

    return net, loss


def performance_net(torch, x, target):
    """The U-Net and the texture network, and their loss as a function without arguments."""
    nn, gelu = torch.nn, torch.nn.functional.gelu
    target = torch.from_numpy(target)
    roll = torch.from_numpy(x["roll"]).reshape(ROLLS, FRAMES, ROLL_FRAMES * ROLL_DEPTH)
    style = torch.from_numpy(x["style"])[:, None]

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.mixed = nn.Conv1d(width, width, 7, padding=3, groups=width)
            self.rest = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 2 * width),
                                      nn.GELU(), nn.Linear(2 * width, width))
            self.gain = nn.Parameter(torch.full((width,), 0.1))

        def forward(self, x):
            return x + self.gain * self.rest(self.mixed(x.transpose(1, 2)).transpose(1, 2))

    class Band(nn.Module):
        def __init__(self, bands, features, size):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(bands, features, size) / features ** 0.5)
            self.bias = nn.Parameter(torch.zeros(bands, size))

        def forward(self, x):
            return torch.einsum("btnc,ncd->btnd", x, self.kernel) + self.bias

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            folded, first = ROLL_FRAMES * ROLL_DEPTH, CHANNELS[0]
            self.embedding, self.contour = nn.Linear(folded, first), nn.Linear(first, BANDS)
            self.encoder, self.decoder = (nn.ModuleList(map(Block, CHANNELS)) for _ in range(2))
            self.down = nn.ModuleList(nn.Conv1d(one, other, 2, stride=2) for one, other in
                                      zip(CHANNELS, CHANNELS[1:], strict=False))
            below = [one + other for one, other in zip(CHANNELS, CHANNELS[1:], strict=False)]
            self.fusions = nn.ModuleList(
                nn.Sequential(nn.Linear(known + folded + SEPARATOR + STYLE, width), nn.GELU(),
                              nn.Linear(width, width))
                for known, width in zip([*below, CHANNELS[-1]], CHANNELS, strict=True))
            self.told = nn.ModuleList(nn.Linear(first + STYLE, count * TEXTURE_CHANNELS)
                                      for count in TEXTURE_BANDS)
            self.inner = nn.ModuleList(Band(count, 3 * BANDS // count, TEXTURE_CHANNELS)
                                       for count in TEXTURE_BANDS)
            self.outer = nn.ModuleList(Band(count, TEXTURE_CHANNELS, BANDS // count)
                                       for count in TEXTURE_BANDS)

        def forward(self):
            rolls, found, x = [roll], [], self.embedding(roll)
            for level, block in enumerate(self.encoder):
                if level:
                    rolls.append(torch.maximum(rolls[-1][:, ::2], rolls[-1][:, 1::2]))
                    x = self.down[level - 1](x.transpose(1, 2)).transpose(1, 2)
                x = block(x)
                found.append(x)
            x = None
            for level in reversed(range(len(CHANNELS))):
                parts = [found[level], rolls[level]]
                parts += [] if x is None else [x.repeat_interleave(2, 1)]
                frames = rolls[level].shape[1]
                parts += [torch.ones(ROLLS, frames, SEPARATOR), style.expand(-1, frames, -1)]
                x = self.decoder[level](self.fusions[level](torch.cat(parts, -1)))
            drawn, known = self.contour(x), torch.cat([x, style.expand(-1, FRAMES, -1)], -1)
            for count, told, inner, outer in zip(TEXTURE_BANDS, self.told, self.inner, self.outer,
                                                 strict=True):
                split = drawn.reshape(ROLLS, FRAMES, count, -1)
                padded = nn.functional.pad(split, (0, 0, 0, 0, 1, 1))
                beside = torch.cat([padded[:, tap:tap + FRAMES] for tap in range(3)], -1)
                known_here = told(known).reshape(ROLLS, FRAMES, count, TEXTURE_CHANNELS)
                drawn = (split + 0.1 * outer(gelu(inner(beside) + known_here))).flatten(2)
            return 3.0 * drawn - 3.0

    net = Net()

    def loss():
        off = net() - target
        return off.abs().mean() + 0.5 * off.diff(dim=1).abs().mean()

    return net, loss


SIDES = {"ours": ours, "ours, XLA": lambda name: ours(name, jit_compile=True),
         "ours, bfloat16": lambda name: ours(name, mixed_precision="bfloat16"),
         "ours, float16": lambda name: ours(name, mixed_precision="float16"),
         "ours, in two parts": lambda name: ours(name, accumulate_steps=2), "PyTorch": pytorch}


def measured(side, model):
    """A side's figures, from a process of its own."""
    interpreter = os.environ.get("TORCH_PYTHON") if side == "PyTorch" else sys.executable
    if not interpreter:
        return None
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([interpreter, __file__, "--side", side, "--model", model], text=True,
                          check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measures each side of each model, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--model", choices=MODELS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(SIDES[args.side](args.model or MODELS[0])))
        return
    print("| | parameters | processor ms a step | wall ms a step | speed by processor time | loss |"
          "\n|---|---|---|---|---|---|")
    for model in [args.model] if args.model else MODELS:
        found = {side: measured(side, model) for side in SIDES}
        base = "PyTorch" if found["PyTorch"] else "ours"
        for side, row in found.items():
            if row:
                print(f"| {model}, {side} | {row['parameters']:,} | {1e3 * row['cpu']:.1f} | "
                      f"{1e3 * row['wall']:.1f} | "
                      f"{found[base]['cpu'] / row['cpu']:.2f} of {base}'s | "
                      f"{row['losses'][0]:.3f} to {row['losses'][1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
