"""What the documents tell a reader to type is understood, and README's blocks run as written."""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import zlib

import numpy as np
import pytest

from style_transfer import audio
from tests.scripts import forks

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = ("README.md", "docs/scaling.md", "scripts/serving/README.md", "examples/README.md",
             *(str(path.relative_to(ROOT))
               for path in sorted((ROOT / "style_transfer" / "weights").glob("*/README.md"))))
COMMAND = re.compile(r"(convert_dir|render_perf|style_transfer_)\w+ ")
LINE_SECS = 120.0  # for a line of README with small inputs, on an idle machine
SOUNDFONT = pathlib.Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def blocks(document, kinds=("", "sh")):
    text = (ROOT / document).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [content for kind, content in found if kind in kinds]


def lines_of(block):
    joined = block.replace("\\\n", " ")
    return [line for line in joined.splitlines() if COMMAND.match(line)]


def lines(document):
    return [line for block in blocks(document) for line in lines_of(block)]


def words(line):
    return shlex.split(line, comments=True)


def test_every_command_line_of_the_documents_is_understood():
    told = [(document, line) for document in DOCUMENTS for line in lines(document)]
    assert len(told) > 30
    results = forks.run([words(line) for _, line in told])
    wrong = [f"{document}: {line}\n{output}" for (document, line), (status, output)
             in zip(told, results, strict=True) if status]
    assert not wrong, "\n".join(wrong)


def test_what_is_no_command_of_ours_is_in_the_repository():
    others = {word for block in blocks("README.md") for line in block.splitlines()
              for word in [line.partition(" ")[0]] if word and not COMMAND.match(line)
              and not line.startswith((" ", "style_transfer_app"))}
    scripts = {word for word in others if word.startswith("scripts/")}
    assert {"scripts/demo", "scripts/test"} <= scripts
    for script in scripts:
        assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0
    assert "source" in others, "a line that puts the commands on the PATH"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# What makes the lines of README small: flags that are added to those of a command, words that stand
# for others, and what comes before its Python.
TINY = {
    "style_transfer_train --config=piano_ddsp": [
        "--num_training_steps=1", "--eval_batches=1", "--hparams=batch_size=1,crop_secs=1,"
        "style_secs=2,width=8,style_size=4", "--override_hparams"],
    "style_transfer_train --config=drum_kit": [
        "--num_training_steps=1", "--hparams=batch_size=2,rnn_layer_sizes=[4],max_steps=32"],
    "style_transfer_create_dataset --config=piano_ddsp": ["--num_workers=1"],
    "style_transfer_create_dataset --config=ss_vq_vae": [
        "--eval_ratio=0.65", "--max_secs=8", "--num_workers=1"],
    "style_transfer_train --config=ss_vq_vae_small": [
        "--num_training_steps=1", "--eval_batches=1", "--hparams=batch_size=2,crop_secs=0.6,"
        "style_secs=0.6,width=8,encoder_blocks=1,decoder_blocks=1,style_width=4"],
    "style_transfer_train --config=glow_style": [
        "--num_training_steps=1", "--eval_batches=1", "--hparams=batch_size=2,crop_secs=0.6,"
        "style_secs=0.6,num_steps=1,width=4,content_width=4,content_blocks=1,style_width=4"],
    "style_transfer_generate --content": ["--adapt_steps=1"],
    "style_transfer_generate --config=ulyanov": ["--num_iterations=1"],
    "style_transfer_generate --config=drum_kit": ["--num_outputs=1", "--num_steps=20"],
    "style_transfer_generate --config=midi2wave_small": ["--length_secs=0.5", "--primer_secs=0.2"],
    "style_transfer_evaluate": ["--content_secs=2", "--style_secs=2", "--max_contents=2",
                                "--adapt_steps=1", "--noonsets", "--num_workers=1"],
    "render_performances": ["--max_secs=6", "--num_workers=1"],
    "style_transfer_client --style": ["--adapt_steps=1"],
}
FEWER = {
    "procedural:100": "procedural:1", "--pianos=held_out.sf2": "--pianos=held_out.sf2:0:0",
    "--baseline_pianos=pianos.sf2": "--baseline_pianos=pianos.sf2:0:1",
    "pianos.sf2,grand.sfz": "pianos.sf2:0:0,grand.sfz",
    # Several methods run in processes of their own, which import everything again.
    "piano_ddsp,ulyanov,ulyanov_encoder,midi2wave_small": "piano_ddsp",
}
QUICK = """
import functools, style_transfer
for name in ("transfer", "estimate_piano"):
    quick = functools.partial(getattr(style_transfer, name), adapt_steps=1)
    setattr(style_transfer, name, quick)
"""


def small(line, ports):
    for many, few in FEWER.items():
        line = line.replace(many, few)
    more = [word for start, flags in TINY.items() if line.startswith(start) for word in flags]
    if line.startswith("style_transfer_generate"):  # what is there already would be kept
        more.append(f"--output_dir=out/{zlib.crc32(line.encode())}")
    if line.startswith("style_transfer_serve"):
        more += [f"--rest_port={ports[0]}", f"--grpc_port={ports[1]}"]
    if line.startswith("style_transfer_client"):
        more += [f"--server=127.0.0.1:{ports[0]}", "--deadline_secs=300"]
    if line.startswith("style_transfer_app"):
        more += [f"--port={free_port()}"]
    return [*words(line), *more]


def write_inputs(folder):
    """Everything that README's lines name."""
    import note_seq

    from style_transfer import piano_roll

    rng = np.random.default_rng(0)
    for name in ("midi", "held_out_midi", "recordings"):
        (folder / name).mkdir()

    def midi(path, pitches, is_drum=False, beats=40):
        sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=beats / 2)
        sequence.tempos.add(qpm=120)
        sequence.time_signatures.add(numerator=4, denominator=4)
        for beat in range(beats):
            sequence.notes.add(pitch=int(rng.choice(pitches)), velocity=80, is_drum=is_drum,
                               start_time=beat / 2, end_time=beat / 2 + 0.4,
                               instrument=9 * is_drum)
        piano_roll.save_midi(folder / path, sequence)

    for index in range(3):
        midi(f"midi/melody{index}.mid", range(60, 72))
        midi(f"midi/drums{index}.mid", (36, 38, 42), is_drum=True)
        midi(f"held_out_midi/{index}.mid", range(60, 72))
    for name in ("a.mid", "b.mid"):
        midi(name, range(60, 72))
    clip = audio.load(ROOT / "examples" / "electric_grand.flac")
    piece = audio.Audio(clip.samples[:3 * clip.sample_rate], clip.sample_rate)
    for name in ("a.wav", "b.wav", "clip.wav", "piano.wav", "piece.wav", "recording.wav",
                 "recordings/one.wav"):
        audio.save(folder / name, piece)
    shutil.copy(folder / "piece.wav", folder / "recording.mp3")
    midi("piece.mid", range(60, 72), beats=8)
    shutil.copy(ROOT / "examples" / "electric_grand.mid", folder / "piano.mid")
    for name in ("pianos.sf2", "held_out.sf2"):
        (folder / name).symlink_to(SOUNDFONT)
    audio.save(folder / "c4.wav", piece)
    (folder / "grand.sfz").write_text("<region> sample=c4.wav pitch_keycenter=60\n")


def write_answers(folder):
    """What one listener says, so that there is something to count."""
    key = json.loads((folder / "listening" / "key.json").read_text())
    trials = [{"id": name, "kind": trial["kind"], "choice": min(trial["stimuli"]),
               "ratings": dict.fromkeys(trial["stimuli"], 95)}
              for name, trial in key["trials"].items()]
    (folder / "answers").mkdir()
    (folder / "answers" / "ann.json").write_text(json.dumps(
        {"test": key["test"], "listener": "Ann", "trials": trials}))


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs blocks in one folder, where each finds what those before it have made."""
    pytest.importorskip("magenta")
    folder, ports = tmp_path_factory.mktemp("readme"), (free_port(), free_port())
    write_inputs(folder)
    with forks.Forks(folder) as running:
        yield folder, lambda line: running.run(small(line, ports), LINE_SECS * max(
            1.0, os.getloadavg()[0] / os.cpu_count()))


COMMAND_BLOCKS = [block for block in blocks("README.md") if lines_of(block)]


@pytest.mark.slow
@pytest.mark.skipif(not SOUNDFONT.exists() or not shutil.which("fluidsynth"),
                    reason="FluidSynth or its soundfont is not installed")
@pytest.mark.parametrize("block", COMMAND_BLOCKS,
                         ids=[lines_of(block)[0][:60] for block in COMMAND_BLOCKS])
def test_a_block_of_the_readme_runs_as_written(shell, block):
    folder, run = shell
    for line in lines_of(block):
        if "--listening_results" in line:
            write_answers(folder)
        status, output = run(line)
        assert status == 0, f"{line}\n{output}"


@pytest.mark.slow
def test_the_python_of_the_readme_runs_as_written(shell):
    folder, run = shell
    (code,) = blocks("README.md", ("python",))
    status, output = run(shlex.join(["python", QUICK + code]))
    assert status == 0, output
    made = audio.load(folder / "piece_on_piano.wav")
    assert made.duration_secs > 3.9 and (folder / "steinway.piano").is_file()
