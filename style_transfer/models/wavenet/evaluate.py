"""Whether free-running audio plays its MIDI: transcribed, and scored against it."""

import warnings

import numpy as np
from keras import ops

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.models.wavenet import inputs
from style_transfer.transcription import metrics, transcriber


def free_running_scores(model, x, *, seed=0, temperature=1.0, sustain_temperature=None,
                        transcription_model=None, report=None):
    """Onset F1 of what a model makes of rolls, beside chance and beside the recordings.

    Args:
        model: A `WaveNet`, or a `SpectralWaveNet`, which has no `seed` nor temperatures.
        x: Inputs of evaluation data: `roll` `[clips, frames, 176]`, `audio` of the recordings,
            `piece`, what music each is, and what the model is told of the piano.
        seed: Of the sampling.
        temperature: Likewise.
        sustain_temperature: Likewise; None for the same.
        transcription_model: See `transcription.transcribe`.
        report: See `generation.generate`.

    Returns:
        A dict: `onset_f1` (key and onset within 50 ms, mean over clips), `chance_onset_f1` (the
        same audio against the MIDI of other pieces), `recording_onset_f1` (the recordings against
        theirs: what the transcriber hears at this rate), and the `audio` made.
    """
    if hasattr(model, "sample"):
        from style_transfer.models.wavenet.engine import generation

        piano = x.get("style", x.get("piano_id"))
        made = generation.generate(
            model, np.asarray(x["roll"]), seed, temperature, sustain_temperature,
            style=None if piano is None else np.asarray(piano), report=report)
    else:
        made = ops.convert_to_numpy(model(x))
    tables = [inputs.table_of_roll(roll, model.roll_rate) for roll in np.asarray(x["roll"])]
    pieces = np.asarray(x.get("piece", np.arange(len(tables))))
    scores = onset_scores(made, tables, pieces, model.sample_rate, transcription_model)
    recorded = onset_scores(np.asarray(x["audio"]), tables, pieces, model.sample_rate,
                            transcription_model)
    return {**scores, "recording_onset_f1": recorded["onset_f1"], "audio": made}


def onset_scores(clips, tables, pieces, sample_rate, transcription_model=None):
    """Onset F1 of clips against their notes, and against those of other pieces.

    The first 0.1 s do not count: what sounds there may have been struck before the clip.

    Args:
        clips: Audio `[clips, samples]`.
        tables: A `NoteTable` for each.
        pieces: What music each is, int `[clips]`.
        sample_rate: Hz.
        transcription_model: See `transcription.transcribe`.

    Returns:
        A dict of `onset_f1` and `chance_onset_f1`; NaN where there is nothing to score.
    """
    own, others = [], []
    secs = clips.shape[1] / sample_rate
    cut = [metrics.within(table, metrics.EDGE_SECS, secs) for table in tables]
    for index, samples in enumerate(clips):
        heard = metrics.within(_heard(samples, sample_rate, transcription_model),
                               metrics.EDGE_SECS, secs)
        scores = [_f1(table, heard) if pieces[other] != pieces[index] or other == index else np.nan
                  for other, table in enumerate(cut)]
        own.append(scores.pop(index))
        others.extend(scores)
    return {"onset_f1": _mean(own), "chance_onset_f1": _mean(others)}


def _heard(samples, sample_rate, model):
    audio = audio_lib.Audio(np.nan_to_num(samples), sample_rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # silence has no notes, as it should be
        return piano_roll.note_table(transcriber.transcribe(audio, model))


def _f1(reference, estimate):
    """NaN where nothing is to be played, 0 where nothing was heard of it."""
    return metrics.score_notes(reference, estimate)["note_f1"] if len(reference) else np.nan


def _mean(values):
    values = np.array(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
