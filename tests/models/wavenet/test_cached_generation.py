import keras
import numpy as np
import pytest

from style_transfer.models.wavenet import mixtures
from style_transfer.models.wavenet.engine import conditions, gates, generation, temperatures, tiles
from style_transfer.models.wavenet.net import WaveNet

SIZES = {"sample_rate": 2000, "num_layers": 5, "dilation_cycle": 3, "residual_channels": 6,
         "skip_channels": 20, "hidden_channels": 70, "num_mixtures": 3, "context_layers": 2,
         "context_channels": 8, "upsampling": "linear"}
CASES = {
    "one layer": {"num_layers": 1},
    "deep": {"num_layers": 9, "dilation_cycle": 4, "residual_channels": 17, "gate_channels": 19},
    "three taps": {"kernel_size": 3, "upsampling": "repeat"},
    "learned upsampling": {"upsampling": "transposed", "num_layers": 7},
    "mu-law": {"output": "mulaw", "num_pianos": 4},
    "excited": {"excitation_partials": 2, "global_size": 3},
    "predicted": {"predictor_taps": 12, "predictor_partials": 6, "upsampling": "transposed"},
    "codes": {"bottleneck": "argmax", "bottleneck_hop": 5},
}


def built(options):
    keras.utils.set_random_seed(3)
    model = WaveNet(**{**SIZES, **options})
    model.build(None)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:  # zeros would hide mistakes
        noise = rng.normal(0, 0.15, variable.shape).astype(np.float32)
        variable.assign(np.asarray(variable) + noise)
    return model


def clips(model, batch, frames=45, seed=0):
    rng = np.random.default_rng(seed)
    roll = rng.uniform(size=(batch, frames, 176)) * (rng.uniform(size=(batch, frames, 176)) < 0.05)
    audio = rng.uniform(-0.5, 0.5, (batch, frames * model.hop))
    if model.num_pianos:
        style = np.arange(batch) % model.num_pianos
    else:
        style = rng.normal(size=(batch, 3)).astype("f") if model.global_size else None
    return roll.astype(np.float32), audio.astype(np.float32), style


@pytest.mark.parametrize("engine, batch, case", [
    *((*engine, case) for case in CASES for engine in (("numba", 1), ("numba", 6))),
    *(pytest.param("graph", 2, case, marks=[] if case in ("predicted", "codes") else
                   pytest.mark.slow) for case in CASES)])  # a graph takes seconds to make
def test_cached_generation_equals_full_forward(case, engine, batch, monkeypatch):
    monkeypatch.setattr(conditions, "ENCODE_FRAMES", 20)  # several blocks, and steps in each,
    monkeypatch.setattr(generation, "STEP_FRAMES", 7)  # which hand on what layers remember
    model = built(CASES[case])
    roll, audio, style = clips(model, batch)
    full = model({"audio": audio, "roll": roll, **generation.piano_of(model, style)})["logits"]
    cached = generation.predictions(model, roll, audio, style, engine)
    assert cached.shape == full.shape
    np.testing.assert_allclose(cached, full, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("output", ["mixture", "mulaw"])
def test_draws_are_the_distributions_for_the_same_uniform_numbers(output):
    model = built({"output": output})
    roll, audio, _ = clips(model, 3)
    made = generation.generate(model, roll, seed=5, primer=audio, teacher_forced=True,
                               temperature=0.8)
    logits = generation.predictions(model, roll, audio)
    uniforms = np.stack([np.random.default_rng([5, item]).random((audio.shape[1], 2), np.float32)
                         for item in range(3)])
    wanted = np.asarray(model.sample(logits, uniforms, 0.8))
    # A draw may lie on the edge of two levels or classes to the last bit.
    assert np.mean(np.abs(made - wanted) > 2.5 / mixtures.NUM_LEVELS) < 2e-3
    assert np.std(made) > 0.01


def test_frames_behind_an_onset_are_drawn_at_one_temperature_and_all_others_at_another():
    rolls = np.zeros((2, 40, 176), np.float32)
    rolls[0, [5, 12], [3, 87]] = 0.5
    rolls[1, 39, 20], rolls[:, :, 88:] = 0.1, 0.9
    found = np.asarray(temperatures.of_frames(rolls, 250, 1.0, [0.25, 0.5]))
    assert found.shape == (2, 40)
    assert np.flatnonzero(found[0] == 1).tolist() == list(range(5, 22))
    assert np.flatnonzero(found[1] == 1).tolist() == [39]
    assert set(found[0]) == {1, 0.25} and set(found[1]) == {1, 0.5}


@pytest.mark.parametrize("engine", generation.ENGINES)
def test_sustained_sound_is_drawn_at_its_own_temperature(engine):
    model = built({})
    roll, audio, _ = clips(model, 2)
    roll[:, :, :88] *= (np.arange(roll.shape[1]) == 20)[:, None]
    made, hot, cold = (generation.generate(
        model, roll, 5, *pair, primer=audio, teacher_forced=True, engine=engine)
        for pair in ((0.9, 0.3), (0.9, None), (0.3, 0.3)))
    frame = np.arange(roll.shape[1])
    struck = np.repeat((frame >= 20) & (frame < 30), model.hop)
    assert np.allclose(made[:, struck], hot[:, struck], atol=1e-4)
    assert np.allclose(made[:, ~struck], cold[:, ~struck], atol=1e-4)
    assert np.abs(hot - cold).mean() > 0.01
    with pytest.raises(ValueError, match="temperature is -1"):
        generation.generate(model, roll, sustain_temperature=-1)


@pytest.mark.parametrize("output", ["mixture", "mulaw"])
def test_free_running_continues_from_its_own_samples(output):
    model = built({"output": output})
    roll, _, _ = clips(model, 2)
    made = generation.generate(model, roll, seed=1)
    again = generation.generate(model, roll, seed=1, primer=made, teacher_forced=True)
    assert np.array_equal(made, again)


def test_engines_agree_when_running_freely():
    model = built({})
    roll, _, _ = clips(model, 2, frames=12)
    first, second = (generation.generate(model, roll, seed=2, engine=engine)
                     for engine in generation.ENGINES)
    assert np.mean(np.abs(first - second) > 1e-3) < 0.02


def test_items_and_threads_do_not_change_each_other():
    model = built({})
    roll, _, _ = clips(model, 5)
    together = generation.generate(model, roll, seed=4)
    assert np.array_equal(generation.generate(model, roll, seed=4, threads=2), together)
    assert np.array_equal(generation.generate(model, roll[:1], seed=4)[0], together[0])
    other = generation.generate(model, np.concatenate([roll[:4], roll[:1]]), seed=4)
    assert np.array_equal(other[:4], together[:4])
    assert not np.allclose(other[4], together[4], atol=1e-3)


def test_seeds_of_their_own_make_items_independent_of_their_places():
    model = built({})
    roll, _, _ = clips(model, 3)
    found = generation.generate(model, roll, seed=[7, 8, 7])
    other = generation.generate(model, roll[::-1], seed=[7, 8, 7])
    assert np.array_equal(found, other[::-1])
    assert not np.allclose(generation.generate(model, roll[:1], seed=[8])[0], found[0], atol=1e-2)


def test_what_is_said_of_pianos_must_fit():
    model = built({"num_pianos": 3})
    roll, _, _ = clips(model, 2)
    for style, message in (([1], "of 1 pianos, expected one for each of 2"),
                           ([0, 3], "number is 3, expected 0 to 2")):
        with pytest.raises(ValueError, match=message):
            generation.generate(model, roll, style=style)
    with pytest.raises(ValueError, match="nothing to play"):
        generation.generate(model, roll[:, :0], style=[0, 1])


def test_seed_roll_and_temperature_matter():
    model = built({"excitation_partials": 3})
    roll, _, _ = clips(model, 1)
    made = generation.generate(model, roll, seed=4)
    assert np.array_equal(generation.generate(model, roll, seed=4), made)
    assert not np.allclose(generation.generate(model, roll, seed=5), made, atol=1e-2)
    assert not np.allclose(generation.generate(model, roll[:, ::-1], seed=4), made, atol=1e-2)
    still = [generation.generate(model, roll, seed=s, temperature=0.0) for s in (1, 2)]
    assert np.array_equal(*still)


def test_a_primer_is_given_back_and_continued():
    model = built({})
    roll, audio, _ = clips(model, 2)
    made = generation.generate(model, roll, seed=4, primer=audio[:, :150])
    assert np.array_equal(made[:, :150], audio[:, :150])
    assert np.all(np.abs(made) <= 1)
    past = np.concatenate([audio[:, :150], made[:, 150:]], axis=1)
    forced = generation.generate(model, roll, seed=4, primer=past, teacher_forced=True)
    assert np.array_equal(forced[:, 150:], made[:, 150:])
    assert not np.allclose(forced[:, :150], made[:, :150], atol=1e-3)


@pytest.mark.parametrize("case", ["learned upsampling", "codes", "excited", "predicted"])
def test_conditions_of_blocks_are_those_of_the_whole(case):
    model = built(CASES[case])
    roll, _, style = clips(model, 1)
    piano = generation.piano_of(model, style)
    whole, = conditions.blocks(model, roll, piano)
    parts = list(conditions.blocks(model, roll, piano, num_frames=7))
    assert np.allclose(np.concatenate([part.frames[:, 1:-1] for part in parts], axis=1),
                       whole.frames[:, 1:-1], atol=1e-5)
    assert np.allclose(parts[2].frames[:, 0], parts[1].frames[:, -2], atol=1e-5)
    if whole.coefficients is not None:
        assert np.allclose(np.concatenate([part.coefficients for part in parts], axis=1),
                           whole.coefficients, atol=1e-3)
        assert np.std(whole.coefficients) > 0.01
    if whole.excitation is not None:
        assert np.allclose(np.concatenate([part.excitation for part in parts], axis=1),
                           whole.excitation, atol=1e-4)


def test_silence_goes_before_and_is_not_given_back():
    model, told = built({"predictor_taps": 12, "predictor_partials": 6}), []
    roll, audio, _ = clips(model, 2)
    found = generation.generate(model, roll, seed=[3, 4], primer=audio[:, :80], lead_frames=9,
                                report=lambda done, total: told.append((done, total)))
    padded = generation.generate(
        model, np.pad(roll, ((0, 0), (9, 0), (0, 0))), seed=[3, 4],
        primer=np.pad(audio[:, :80], ((0, 0), (9 * model.hop, 0))))
    assert np.array_equal(found, padded[:, 9 * model.hop:])
    assert np.array_equal(found[:, :80], audio[:, :80])
    assert told[-1] == (audio.shape[1], audio.shape[1])
    forced = [generation.generate(model, roll, seed=[3, 4], primer=audio, teacher_forced=True,
                                  lead_frames=frames) for frames in (0, 9)]
    assert forced[0].shape == forced[1].shape == audio.shape


def test_progress_is_reported_up_to_the_last_sample(monkeypatch):
    monkeypatch.setattr(generation, "STEP_FRAMES", 16)
    model, told = built({}), []
    roll, audio, _ = clips(model, 1, frames=40)
    generation.generate(model, roll, report=lambda done, total: told.append((done, total)))
    assert told == [(128, 320), (256, 320), (320, 320)]
    with pytest.raises(ValueError, match="as long as the roll"):
        generation.generate(model, roll, primer=audio[:, :100], teacher_forced=True)
    with pytest.raises(ValueError, match="numba, graph"):
        generation.generate(model, roll, engine="cuda")
    with pytest.raises(ValueError, match="at most 320"):
        generation.generate(model, roll, primer=np.zeros((1, 321)))


@pytest.mark.parametrize("rows, inputs, outputs", [(1, 16, 16), (3, 48, 80), (9, 64, 128)])
def test_tiles_are_matrix_products(rows, inputs, outputs):
    rng = np.random.default_rng(0)
    x, w, z = (rng.normal(size=shape).astype(np.float32) for shape in
               ((rows, inputs), (inputs, outputs), (rows, outputs)))
    wanted = z + x @ w
    tiles.add_product(z.ravel(), 0, outputs, x.ravel(), 0, inputs, w.ravel(), 0, rows, inputs,
                      outputs)
    assert np.allclose(z, wanted, atol=1e-4)


def test_gates_are_tanh_and_sigmoid():
    rng = np.random.default_rng(0)
    z = rng.uniform(-20, 20, 200 * gates.LANES).astype(np.float32)
    found = np.zeros(100 * gates.LANES, np.float32)
    gates.gate(z, 0, found, 0, found.size)
    a, b = np.split(z.astype(float), 2)
    assert np.abs(found - np.tanh(a) / (1 + np.exp(-b))).max() < 5e-7
    z[3] = np.nan
    gates.gate(z, 0, found, 0, found.size)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]
