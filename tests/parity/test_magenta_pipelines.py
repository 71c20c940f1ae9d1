"""Magenta's own NoteSequence pipelines, which data preparation uses, give what they always gave.

They were written for TensorFlow 1 and Python 3.7 and are installed without their pins: this is what
tells that they still work on the versions in the lock.
"""

import json
import pathlib

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of magenta and what it imports

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "magenta_pipelines"
PIPELINES = json.loads((FIXTURES / "pipelines.json").read_text())
INPUTS = sorted(PIPELINES["Splitter"])


@pytest.fixture(scope="module")
def magenta():
    """The pipelines by the names of their golden outputs, and the modules of the extractors."""
    library = pytest.importorskip("magenta.pipelines.note_sequence_pipelines")
    from magenta.pipelines import drum_pipelines, melody_pipelines

    return {
        "Splitter": lambda: library.Splitter(4.0),
        "TimeChangeSplitter": library.TimeChangeSplitter,
        "Quantizer_spq4": lambda: library.Quantizer(steps_per_quarter=4),
        "Quantizer_sps100": lambda: library.Quantizer(steps_per_second=100),
        "StretchPipeline": lambda: library.StretchPipeline([0.9, 1.0, 1.25]),
        "TranspositionPipeline": lambda: library.TranspositionPipeline(
            range(-2, 3), min_pitch=36, max_pitch=104
        ),
        "SustainPipeline": library.SustainPipeline,
        "melodies": melody_pipelines.MelodyExtractor,
        "drums": drum_pipelines.DrumsExtractor,
    }


def read(path):
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence()
    sequence.ParseFromString(path.read_bytes())
    return sequence


def read_input(name):
    return read(FIXTURES / "pipeline_inputs" / f"{name}.pb")


def statistics(pipeline):
    return sorted(str(statistic) for statistic in pipeline.get_stats())


@pytest.mark.parametrize("name", sorted(PIPELINES))
@pytest.mark.parametrize("sequence", INPUTS)
def test_pipeline_outputs_equal_golden_ones(magenta, name, sequence):
    pipeline, expected = magenta[name](), PIPELINES[name][sequence]
    outputs = pipeline.transform(read_input(sequence))
    assert len(outputs) == expected["count"]
    for output, summary in zip(outputs, expected["outputs"], strict=True):
        assert len(output.notes) == summary["notes"]
        assert output.total_time == summary["total_time"]
        assert output.total_quantized_steps == summary["total_quantized_steps"]
        assert output.id == summary["id"]
    assert statistics(pipeline) == sorted(expected["stats"])
    for path in (FIXTURES / "pipeline_outputs").glob(f"{name}--{sequence}--*.pb"):
        assert outputs[int(path.stem.rpartition("--")[2])] == read(path)


def test_every_golden_output_is_compared():
    names = [path.stem.split("--") for path in (FIXTURES / "pipeline_outputs").glob("*.pb")]
    assert len(names) == 71
    for name, sequence, number in names:
        assert int(number) < PIPELINES[name][sequence]["count"]


def extract(magenta, extractor, sequence, arguments):
    """All that is extracted, and the extractor's statistics of every part."""
    pipeline, found, stats = magenta[extractor](**arguments), [], []
    for part in magenta["TimeChangeSplitter"]().transform(read_input(sequence)):
        for quantized in magenta["Quantizer_spq4"]().transform(part):
            found.extend(pipeline.transform(quantized))
            stats.extend(statistics(pipeline))
    return found, sorted(stats)


def check_extracted(magenta, extractor, sequence, case, key, to_event):
    found, stats = extract(magenta, extractor, sequence, case["kwargs"])
    assert stats == sorted(case["stats"])
    assert len(found) == len(case[key])
    for one, expected in zip(found, case[key], strict=True):
        assert [to_event(event) for event in one] == expected["events"]
        assert one.start_step == expected["start_step"]
        assert one.end_step == expected["end_step"]
        assert one.steps_per_bar == expected["steps_per_bar"]


@pytest.mark.parametrize("sequence", INPUTS)
def test_melodies_equal_golden_ones(magenta, sequence):
    cases = json.loads((FIXTURES / "melodies.json").read_text())[sequence]
    for case in cases.values():
        check_extracted(magenta, "melodies", sequence, case, "melodies", int)


@pytest.mark.parametrize("sequence", INPUTS)
def test_drum_tracks_equal_golden_ones(magenta, sequence):
    cases = json.loads((FIXTURES / "drum_tracks.json").read_text())[sequence]
    for case in cases.values():
        check_extracted(magenta, "drums", sequence, case, "tracks", sorted)
