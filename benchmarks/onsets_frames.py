"""Speed of Onsets and Frames at Magenta's full size: this project's against PyTorch's.

    python -m benchmarks.onsets_frames [--secs=20] [--batch=1] [--threads=1] [--repeats=3]

Both get the same random weights and the same noise, so that their outputs can be compared too.
PyTorch is no requirement of this project: `pip install torch` to have it compared.
"""

import argparse
import os
import platform
import time

import numpy as np

from style_transfer.signal import mel

SAMPLE_RATE, HOP, FFT_SIZE = 16000, 512, 2048


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--secs", type=float, default=20.0, help="length of a window")
    parser.add_argument("--batch", type=int, default=1, help="windows at a time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def keras_model(audio, threads):
    """Model with random weights, and a function of no arguments that runs it."""
    import tensorflow as tf

    from style_transfer.models.onsets_frames.net import OnsetsFrames

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = OnsetsFrames()
    model.build(None)
    compiled = tf.function(lambda x: model(x, training=False))
    return model, lambda: {name: np.asarray(value) for name, value in
                           compiled(tf.constant(audio)).items()}


def torch_model(model, audio, threads):
    """The same with the weights of `model` in PyTorch; None without it."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    nets = _TorchNets(torch, model)
    samples = torch.from_numpy(audio)

    def run():
        with torch.inference_mode():
            return {name: value.numpy() for name, value in nets.run(samples).items()}
    return run


class _TorchNets:
    def __init__(self, torch, model):

        self.torch = torch
        self.window = torch.hann_window(FFT_SIZE)
        self.mel = torch.from_numpy(mel.matrix(SAMPLE_RATE, 2048, 229, 30.0, htk=True))
        self.stacks = {name: self._stack(getattr(model, name))
                       for name in ("onsets", "offsets", "velocity", "frame")}
        self.combined = [self._lstm(layer) for layer in model.combined]
        self.heads = {name: self._dense(getattr(model, name)) for name in (
            "onset_probs", "offset_probs", "onset_velocities", "activation_probs", "frame_probs")}

    def _put(self, parameter, value):
        parameter.data.copy_(self.torch.from_numpy(np.ascontiguousarray(value)))

    def _dense(self, layer):
        kernel = np.asarray(layer.kernel)
        dense = self.torch.nn.Linear(*kernel.shape)
        self._put(dense.weight, kernel.T)
        self._put(dense.bias, np.asarray(layer.bias))
        return dense

    def _lstm(self, layer):
        cell = layer.forward_layer.cell
        lstm = self.torch.nn.LSTM(cell.kernel.shape[0], cell.recurrent_kernel.shape[0],
                                  batch_first=True, bidirectional=True)
        for end, part in (("", layer.forward_layer), ("_reverse", layer.backward_layer)):
            self._put(getattr(lstm, f"weight_ih_l0{end}"), np.asarray(part.cell.kernel).T)
            self._put(getattr(lstm, f"weight_hh_l0{end}"), np.asarray(part.cell.recurrent_kernel).T)
            self._put(getattr(lstm, f"bias_ih_l0{end}"), np.asarray(part.cell.bias))
            getattr(lstm, f"bias_hh_l0{end}").data.zero_()
        return lstm

    def _block(self, block):
        nn, kernel = self.torch.nn, np.asarray(block.conv.kernel)
        conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2], padding="same",
                         bias=False)
        self._put(conv.weight, kernel.transpose(3, 2, 0, 1))
        norm = nn.BatchNorm2d(kernel.shape[3], eps=block.norm.epsilon)
        self._put(norm.bias, np.asarray(block.norm.beta))
        return nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool2d((1, block.pool_size))).eval()

    def _stack(self, stack):
        blocks = self.torch.nn.Sequential(*(self._block(block) for block in stack.convs)).eval()
        blocks = blocks.to(memory_format=self.torch.channels_last)  # faster on most processors
        return blocks, self._dense(stack.fc_end), [self._lstm(layer) for layer in stack.lstms]

    def _features(self, name, x):
        blocks, dense, lstms = self.stacks[name]
        x = blocks(x[:, None].to(memory_format=self.torch.channels_last))
        x = dense(x.permute(0, 2, 3, 1).flatten(2)).relu()
        for lstm in lstms:
            x = lstm(x)[0]
        return x

    def _spectrogram(self, audio):
        spectrum = self.torch.stft(audio, FFT_SIZE, HOP, window=self.window, center=True,
                                   pad_mode="reflect", return_complex=True)
        power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2) @ self.mel
        db = 10 * power.clamp(min=1e-10).log10()
        return db.maximum(db.amax((1, 2), keepdim=True) - 80)

    def run(self, audio):
        """Outputs from audio `[batch, samples]`."""
        x = self._spectrogram(audio)
        onset = self.heads["onset_probs"](self._features("onsets", x))
        offset = self.heads["offset_probs"](self._features("offsets", x))
        velocity = self.heads["onset_velocities"](self._features("velocity", x))
        activation = self.heads["activation_probs"](self._features("frame", x))
        x = self.torch.cat([onset.sigmoid(), activation.sigmoid(), offset.sigmoid()], -1)
        for lstm in self.combined:
            x = lstm(x)[0]
        return {"onset": onset, "offset": offset, "velocity": velocity,
                "frame": self.heads["frame_probs"](x)}


def timed(functions, repeats):
    """Results of `functions`, and the least wall and processor time of each, taken in turns."""
    results = {name: function() for name, function in functions.items()}  # compiles, warms up
    best = {name: np.full(2, np.inf) for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            begun = np.array([time.perf_counter(), time.process_time()])
            function()
            spent = np.array([time.perf_counter(), time.process_time()]) - begun
            best[name] = np.minimum(best[name], spent)
    return results, best


def main():
    """Measures and prints."""
    options = parse()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    audio = np.random.default_rng(0).normal(
        0, 0.1, (options.batch, int(options.secs * SAMPLE_RATE))).astype(np.float32)
    seconds = audio.size / SAMPLE_RATE
    model, ours = keras_model(audio, options.threads)
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{options.threads} thread(s), {options.batch} window(s) of {options.secs:g} s, "
          f"{model.count_params():,} parameters")
    functions = {"Keras on TensorFlow": ours}
    if theirs := torch_model(model, audio, options.threads):
        functions["PyTorch"] = theirs
    results, best = timed(functions, options.repeats)
    for name, (wall, processor) in best.items():
        print(f"{name:<20} real-time factor {wall / seconds:.4f}, "
              f"processor time {processor / seconds:.4f} of the audio's")
    if theirs is None:
        print("PyTorch              not installed: pip install torch")
        return
    outputs, peers = results.values()
    difference = max(np.abs(outputs[name] - peers[name]).max() for name in outputs)
    ratio = best["Keras on TensorFlow"] / best["PyTorch"]
    print(f"ours takes {ratio[0]:.2f} times as long ({ratio[1]:.2f} in processor time); "
          f"outputs differ by {difference:.1e}")


if __name__ == "__main__":
    main()
