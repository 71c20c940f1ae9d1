"""The fast sums are the sums: held to `modal`'s closed forms."""

import numpy as np
import pytest
from keras import ops

from style_transfer.synthesis import fast_modal, modal

COUNT, NODES = 300, 120


def oscillators(bank, highest_hz, side=None):
    """Random partials: struck before, in and after the first second, some damped in it."""
    rng = np.random.default_rng(0)
    osc = {"frequency_hz": rng.uniform(27.5, highest_hz, COUNT), "aftersound":
           rng.uniform(0, 1, COUNT), "amplitude": np.exp(rng.uniform(-9, -3, COUNT)),
           "decay": rng.uniform(0.5, 60, COUNT), "beat_hz": rng.uniform(0, 3, COUNT),
           "damping": rng.uniform(2, 300, COUNT), "attack_secs": rng.uniform(1e-3, 2e-2, COUNT),
           "phase": rng.uniform(0, 2 * np.pi, COUNT)}
    osc["aftersound_decay"] = osc["decay"] * rng.uniform(0.05, 1, COUNT)
    osc = {name: value.astype(np.float32) for name, value in osc.items()}
    osc["onset"] = rng.uniform(-0.5, 0.8, COUNT)
    osc["damped"] = osc["onset"] + rng.uniform(0.05, 1.0, COUNT)
    osc["end"] = np.full(COUNT, 1e6)
    osc["bins"], osc["weights"] = bank.bins(osc["frequency_hz"])
    if side is not None:
        osc["side"] = side
    return osc


def exact(osc, bank, gains):
    """The real parts of the oscillators' envelopes and carriers at each sample, in float64.

    Between nodes the envelope runs linearly while the carrier runs, as `modal` says.
    """
    node_secs = (np.arange(NODES + 1) * bank.step_secs).astype(np.float32)
    names = ("onset", "damped", "amplitude", "decay", "aftersound_decay", "aftersound", "beat_hz",
             "attack_secs", "damping")
    real, imaginary = (ops.convert_to_numpy(part)[0] for part in modal.partial_envelopes(
        node_secs, *(np.float32(osc[name])[None] for name in names)))
    # Cycles from node to node are float32, there and here.
    hz = np.float64(osc["frequency_hz"] * np.float32(bank.step_secs)) / bank.step_secs
    sample = np.arange(NODES * bank.hop)
    node, inside = np.divmod(sample, bank.hop)
    share = inside / bank.hop
    out = np.zeros(len(sample))
    for i in range(COUNT):
        envelope = (real[:, i] + 1j * imaginary[:, i]) * gains[i]
        envelope = envelope[node] * (1 - share) + envelope[node + 1] * share
        angle = osc["phase"][i] + 2 * np.pi * hz[i] * sample / bank.sample_rate
        out += np.real(envelope * np.exp(1j * angle))
    return out


@pytest.mark.parametrize(("rate", "hop", "highest_hz"), [
    (24_000, 128, 11_500), (44_100, 235, 20_000), (48_000, 256, 20_000)])
def test_the_bank_sums_what_modal_says_it_sums_and_the_side_with_its_gains(rate, hop, highest_hz):
    bank = fast_modal.OscillatorBank(hop, rate)
    rng = np.random.default_rng(1)
    side = (rng.normal(size=COUNT) + 1j * rng.normal(size=COUNT)).astype(np.complex64)
    osc = oscillators(bank, highest_hz, side)
    found = bank.sum(osc, 0, NODES)
    for sums, gains in zip(found, (np.ones(COUNT), side), strict=True):
        true = exact(osc, bank, gains)
        assert np.std(sums - true) < 10 ** (-85 / 20) * np.std(true)


def test_any_cut_gives_the_same_sums():
    bank = fast_modal.OscillatorBank(128, 24_000)
    osc = oscillators(bank, 11_500)
    whole = bank.sum(osc, 0, NODES)[0]
    parts = np.concatenate([bank.sum(osc, first, 40)[0] for first in (0, 40, 80)])
    assert np.std(whole - parts) < 1e-5 * np.std(whole)


def test_partials_at_half_the_rate_and_above_are_silent():
    bank = fast_modal.OscillatorBank(128, 24_000)
    osc = oscillators(bank, 11_500)
    osc["bins"], osc["weights"] = bank.bins(np.linspace(12_000, 20_000, COUNT))
    assert not np.any(bank.sum(osc, 0, 10))


def test_bursts_and_noise_are_modals():
    rng = np.random.default_rng(2)
    node_secs = np.arange(61, dtype=np.float32) * np.float32(128 / 24_000)
    onset = rng.uniform(-0.5, 0.3, 5)
    weights = rng.uniform(0, 1e-6, (5, 36, 6)).astype(np.float32)
    power = fast_modal.burst_powers(node_secs, onset, weights)
    true = modal.noise_powers(node_secs, np.float32(onset)[None], weights[None])
    np.testing.assert_allclose(power, ops.convert_to_numpy(true)[0], rtol=1e-4, atol=1e-12)
    noise = rng.standard_normal((1, 61, 256)).astype(np.float32)
    bins = modal.bin_weights(256, 36, 27.5, 11_500.0, 24_000)
    found = fast_modal.shaped_noise(noise, (power @ bins)[None])
    true = ops.convert_to_numpy(modal.filtered_noise(noise, power[None], 27.5, 11_500.0, 24_000))
    np.testing.assert_allclose(found, true, rtol=1e-3, atol=1e-6)
