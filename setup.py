"""Installs style-transfer with its commands.

`pip install .` lets pip choose versions of what the library itself needs. The complete sets that
the project is tested with, magenta and ddsp included, are requirements/classic.lock and
requirements/current.lock: their own pins cannot be satisfied any more, so they are installed with
`--no-deps` (scripts/test and scripts/demo do that).
"""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "style_transfer/__init__.py").read_text(),
                    re.MULTILINE)[1]

COMMANDS = (
    "convert_dir_to_note_sequences",
    "render_performances",
    "style_transfer_create_dataset",
    "style_transfer_import_checkpoint",
    "style_transfer_train",
    "style_transfer_generate",
    "style_transfer_transcribe",
    "style_transfer_evaluate",
    "style_transfer_export",
    "style_transfer_serve",
    "style_transfer_app",
    "style_transfer_client",
)

# Magenta's commands of these names, done by ours (scripts/magenta.py); installed last, they take
# the place of Magenta's own, which do not run on Keras 3.
MAGENTA_COMMANDS = (
    "drums_rnn_create_dataset",
    "drums_rnn_train",
    "drums_rnn_generate",
    "music_vae_train",
    "music_vae_generate",
    "onsets_frames_transcription_create_tfrecords",
    "onsets_frames_transcription_train",
    "onsets_frames_transcription_transcribe",
)

# What the library imports at run time, to generate and to train.
LIBRARY = [
    "absl-py",
    "audioop-lts ; python_version >= '3.13'",  # for pydub, which note-seq imports
    "av>=15",
    "h5py",
    "keras>=3.10",
    "keras-tcn==3.5.6",
    "lazy-loader",
    "librosa>=0.10",
    "matplotlib",
    "note-seq==0.0.5",
    "numba",
    "numpy>=1.26",
    "pretty-midi",
    "scipy",
    "soundfile>=0.12",
    "soxr",
    "tensorboard",
    "tensorflow>=2.16",
]

EXTRAS = {
    # Making data sets. Magenta's own pins cannot be satisfied, so it comes with the locks.
    "data": ["apache-beam>=2.60", "fsspec[http]", "psutil", "pyfluidsynth"],
    # Audio read lazily inside tf.data; the last release that exists loads on TensorFlow 2.16 only.
    "io": [f"{package} ; python_version < '3.13'" for package in (
        "tensorflow-io==0.37.1", "tensorflow==2.16.2", "numpy<2")],
    # What the evaluation's transcriber runs on. Basic Pitch itself asks for a TensorFlow before
    # 2.15.1: `pip install --no-deps basic-pitch==0.4.0`, or install a lock.
    "transcriber": ["onnxruntime", "resampy>=0.4", "scikit-learn"],
    "metrics": ["mir_eval"],
    "serving": ["fastapi", "grpcio", "prometheus-client", "tensorflow-serving-api", "uvicorn"],
    "dev": ["axe-playwright-python", "httpx2", "ipykernel", "mypy", "nbclient", "nbformat", "pdoc",
            "playwright", "pytest>=8", "pytest-xdist", "ruff", "uv"],
}

setuptools.setup(
    name="style-transfer",
    version=VERSION,
    description="Play any piece on any piano you have a recording of.",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    # configs/, pipelines/ and scripts/ are linked into style_transfer/: one name is claimed.
    packages=setuptools.find_packages(include=["style_transfer*"]),
    package_data={"style_transfer": ["*.pyi", "py.typed", "weights/**/*", "serving/app/web/*",
                                     "serving/app/examples/*", "evaluation/listening/web/*"]},
    install_requires=LIBRARY,
    extras_require=EXTRAS,
    entry_points={"console_scripts": [
        *(f"{name} = style_transfer.scripts.{name}:run" for name in COMMANDS),
        *(f"{name} = style_transfer.scripts.magenta:{name}" for name in MAGENTA_COMMANDS)]},
)
