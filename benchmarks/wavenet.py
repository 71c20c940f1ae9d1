"""Samples per second of a WaveNet of midi2wave's sizes: this project's step against PyTorch's.

    python -m benchmarks.wavenet [--threads=N] [--secs=1] [--repeats=3] [--graph]

All get the same random weights, roll and uniform numbers, and as many threads as
`style_transfer_generate` takes, unless told otherwise: all cores. The limit is the multiply-adds
of a sample at the rate at which BLAS multiplies one matrix of the weights' size with a vector,
nothing else done; a batch may be faster, since it reads the weights once for all of its items.
PyTorch is no requirement of this project: `pip install torch` to have it compared.
"""

import argparse
import math
import os
import platform
import time

import numpy as np

BATCHES = (1, 8)
MIDI2WAVES_BEST = 554  # samples per second of its own code, one thread, on the project's machine
TORCH_SAMPLES = 400
LIMIT_SIZE = 512
LIMIT_PRODUCTS = 2000


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--secs", type=float, default=1.0, help="of audio that is made")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--graph", action="store_true", help="measure the Keras backend's loop too")
    return parser.parse_args()


def multiply_adds(model):
    """Of one sample."""
    stack = model.stack
    kernels = [*stack.kernels, *stack.residual_kernels, model.skip.kernel, model.hidden.kernel,
               model.head.kernel]
    return sum(math.prod(kernel.shape) for kernel in kernels)


def product_rate(repeats):
    """Multiply-adds a second of BLAS: a matrix about as large as the weights times a vector.

    Args:
        repeats: The best of so many, of either side.

    Returns:
        Per second, and per second of processor time.
    """
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(LIMIT_SIZE, LIMIT_SIZE)).astype(np.float32)
    vector, result = matrix[0].copy(), np.empty(LIMIT_SIZE, np.float32)

    def products(left, right):
        for _ in range(LIMIT_PRODUCTS):
            np.matmul(left, right, out=result)

    best, _ = best_secs({"left": lambda: products(vector, matrix),
                         "right": lambda: products(matrix, vector)}, repeats)
    return LIMIT_PRODUCTS * matrix.size / np.minimum(*best.values())


class TorchStep:
    """The same cached step in PyTorch, without gradients."""

    def __init__(self, torch, model, batch):
        self.torch, self.batch = torch, batch
        stack = model.stack

        def tensor(value):
            return torch.from_numpy(np.ascontiguousarray(np.asarray(value)))

        self.gates, self.dilations = stack.gate_channels, stack.dilations
        self.kernels = [tensor(kernel) for kernel in stack.kernels]
        self.residual_kernels = [tensor(kernel) for kernel in stack.residual_kernels]
        self.residual_biases = [tensor(bias) for bias in stack.residual_biases]
        self.biases = [tensor(bias) for bias in stack.biases]
        self.dense = {name: (tensor(layer.kernel), tensor(layer.bias)) for name, layer in (
            ("input", model.input_projection), ("skip", model.skip), ("hidden", model.hidden),
            ("head", model.head))}
        self.rings = [torch.zeros(d, batch, stack.channels) for d in self.dilations]
        self.mixtures = model.num_mixtures

    def apply(self, name, x):
        """A dense layer."""
        kernel, bias = self.dense[name]
        return self.torch.addmm(bias, x, kernel)

    def run(self, conditions, uniforms):
        """Audio `[batch, samples]`; conditions `[samples, layers, batch, 2 * gates]`."""
        torch = self.torch
        previous, made = torch.zeros(self.batch, 1), []
        with torch.inference_mode():
            for n in range(len(conditions)):
                x, activations = self.apply("input", previous), []
                for i, dilation in enumerate(self.dilations):
                    ring = self.rings[i]
                    taps = torch.cat([ring[n % dilation], x], dim=1)
                    ring[n % dilation] = x
                    z = torch.addmm(conditions[n, i], taps, self.kernels[i])
                    activations.append(torch.tanh(z[:, :self.gates])
                                       * torch.sigmoid(z[:, self.gates:]))
                    if i < len(self.residual_kernels):
                        x = x + torch.addmm(self.residual_biases[i], activations[-1],
                                            self.residual_kernels[i])
                skip = torch.relu(self.apply("skip", torch.cat(activations, dim=1)))
                previous = self.draw(self.apply("head", torch.relu(self.apply("hidden", skip))),
                                     uniforms[n])[:, None]
                made.append(previous)
        return torch.cat(made, dim=1).numpy()

    def draw(self, parameters, uniforms):
        """Samples `[batch]` of the mixtures."""
        torch, k = self.torch, self.mixtures
        logits, means, log_scales = parameters[:, :k], parameters[:, k:2 * k], parameters[:, 2 * k:]
        cumulative = torch.softmax(logits, dim=1).cumsum(dim=1)[:, :-1]
        chosen = (cumulative <= uniforms[:, :1]).sum(dim=1, keepdim=True)
        u = 1e-6 + (1 - 2e-6) * uniforms[:, 1:]
        scale = log_scales.gather(1, chosen).clamp(-9, 10).exp()
        scale = (scale ** 2 - math.exp(-18)).clamp(min=0).sqrt()
        value = means.gather(1, chosen) + scale * (u.log() - torch.log1p(-u))
        return (((value[:, 0].clamp(-1, 1) + 1) * 32767.5).round() / 32767.5) - 1


def torch_run(model, roll, threads):
    """A function that makes `TORCH_SAMPLES` of each item; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    from style_transfer.models.wavenet.engine import conditions

    torch.set_num_threads(threads)
    block = next(conditions.blocks(model, roll, {}))
    frames = -(-TORCH_SAMPLES // model.hop)
    upsampled = conditions.upsampled(model, block.frames[:, :frames + 2])[:, :TORCH_SAMPLES]
    layers = upsampled.reshape(len(roll), TORCH_SAMPLES, model.num_layers, -1)
    layers = layers + np.stack([np.asarray(bias) for bias in model.stack.biases])
    layers = torch.from_numpy(np.ascontiguousarray(layers.transpose(1, 2, 0, 3)))
    uniforms = torch.from_numpy(np.stack(
        [np.random.default_rng([0, item]).random((frames * model.hop, 2), np.float32)
         for item in range(len(roll))], axis=1))
    return lambda: TorchStep(torch, model, len(roll)).run(layers, uniforms)


def best_secs(functions, repeats):
    """Least wall and processor time of each, taken in turns, and their last results."""
    results = {name: function() for name, function in functions.items()}  # compiles, warms up
    best = {name: np.full(2, np.inf) for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            begun = np.array([time.perf_counter(), time.process_time()])
            results[name] = function()
            spent = np.array([time.perf_counter(), time.process_time()]) - begun
            best[name] = np.minimum(best[name], spent)
    return best, results


def measure(model, batch, options):
    """Samples per second and per second of processor time, all items together, by name."""
    from style_transfer.models.wavenet.engine import generation

    rng = np.random.default_rng(0)
    frames = round(options.secs * model.roll_rate)
    roll = (rng.uniform(size=(batch, frames, 176)) < 0.02).astype(np.float32)
    samples = {"ours (numba)": frames * model.hop, "PyTorch": TORCH_SAMPLES}
    functions = {
        "ours (numba)": lambda: generation.generate(model, roll, threads=options.threads)}
    if options.graph:
        short = roll[:, :generation.STEP_FRAMES]
        samples["ours (graph)"] = short.shape[1] * model.hop
        functions["ours (graph)"] = lambda: generation.generate(model, short, engine="graph")
    if run := torch_run(model, roll, options.threads):
        functions["PyTorch"] = run
    best, results = best_secs(functions, options.repeats)
    if "PyTorch" in results:
        near = np.abs(results["PyTorch"] - results["ours (numba)"][:, :TORCH_SAMPLES])
        print(f"  the first {TORCH_SAMPLES} samples of ours and PyTorch's differ by "
              f"{np.median(near):.1e} (median)")
    rates = {name: batch * samples[name] / secs for name, secs in best.items()}
    limit = product_rate(options.repeats) / multiply_adds(model)
    return {"limit by BLAS": limit, **rates}


def main():
    """Measures and prints."""
    options = parse()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    from style_transfer.models.wavenet.net import WaveNet

    keras.utils.set_random_seed(0)
    model = WaveNet()
    model.build(None)
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{options.threads} thread(s), {model.count_params():,} parameters, receptive field "
          f"{model.receptive_field}, {multiply_adds(model):,} multiply-adds a sample")
    rates = {}
    for batch in BATCHES:
        rates[batch] = measure(model, batch, options)
        ours = rates[batch]["ours (numba)"]
        for name, rate in rates[batch].items():
            print(f"batch {batch}  {name:<14} {rate[0]:>9.0f} samples/s, {rate[1]:>9.0f} per "
                  f"processor second; ours is {ours[0] / rate[0]:.2f} and "
                  f"{ours[1] / rate[1]:.2f} times that")
        if "PyTorch" not in rates[batch]:
            print("PyTorch is not installed: pip install torch")
    one, many = (rates[batch]["ours (numba)"] for batch in BATCHES)
    print(f"batch {BATCHES[1]} makes {many[0] / one[0]:.2f} times as much as batch 1 "
          f"({many[1] / one[1]:.2f} per processor second); batch 1 is "
          f"{one[0] / model.sample_rate:.2f} times real time ({one[1] / model.sample_rate:.2f}) "
          f"and {one[0] / MIDI2WAVES_BEST:.0f} times midi2wave's own {MIDI2WAVES_BEST} samples/s "
          f"({one[1] / MIDI2WAVES_BEST:.0f})")


if __name__ == "__main__":
    main()
