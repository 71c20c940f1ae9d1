"""What bells can do; `--config=toybells.config:BELLS`."""

import dataclasses

from style_transfer import audio, configs, content, files, options, outputs
from style_transfer.configs import hparams as hparams_lib
from style_transfer.models import base
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class Hparams(hparams_lib.Hparams):
    sample_rate: int = 8000
    roll_rate: int = 250
    crop_secs: float = 0.5


class Generator(base.Generator):
    options = options.ContentOptions

    def generate(self, load, options, report):
        paths = files.find(options.content, content.SUFFIXES, "a MIDI file")
        summary, model = files.Summary(read=len(paths)), load()
        for path, place in outputs.Outputs(options.output_dir, options.overwrite, paths).to_make(
                outputs.recipes(options, paths), (".wav",), summary, report):
            outputs.make(path, place, summary, report,
                         lambda target, path=path: audio.save(target, model.play(path)))
        return summary

    def transfer(self, model, content, style, *, sample_rate, **options):
        return audio.resample(model.play(content), sample_rate)


def _build_dataset(examples_path, hparams, split, *, seed, skip_batches=0, input_context=None):
    from style_transfer.pipelines.inputs import wavenet

    data = wavenet.make_dataset(
        examples_path, split, batch_size=hparams.batch_size, repeat=split == "train",
        settings=hparams_lib.build(wavenet.WaveNetSettings, hparams, seed=seed),
        skip_batches=skip_batches, input_context=input_context)
    return data.map(lambda x, y: ({"roll": x["roll"]}, y["audio"]))


BELLS = configs.Config(
    name="bells", description="Notes as sines.", hparams=Hparams(batch_size=2), examples=Pairs(),
    build_model=configs.built("toybells.model:Bells"), build_dataset=_build_dataset,
    build_loss=configs.built("style_transfer.losses:MultiScaleSpectralLoss", fft_sizes=(512,)),
    build_optimizer=hparams_lib.build_optimizer, generator=Generator,
    serving=configs.lazy("toybells.model:Serving"))
