"""What is installed, shipped and locked, and how a fresh machine is set up."""

import fnmatch
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).parents[1]
LINKED = ("pipelines", "configs", "scripts")  # into style_transfer/
STACKS = ("classic", "current")
LOCKS = {stack: (ROOT / "requirements" / f"{stack}.lock").read_text() for stack in STACKS}
STACK_FILE = pathlib.Path(sys.prefix) / "stack"
PYTHON = "{}.{}".format(*sys.version_info)
STACK = STACK_FILE.read_text().strip() if STACK_FILE.exists() else "classic"


@pytest.fixture(scope="module")
def setup_arguments():
    arguments = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", arguments.update)
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return arguments


def _requirements(text, python=PYTHON):
    """Those of a requirements file that hold for a Python, by normalised name."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-r ")]
    where = {"python_version": python, "python_full_version": f"{python}.1"}
    return {canonicalize_name(r.name): r for r in found
            if not r.marker or r.marker.evaluate(where)}


def _locked(stack, python=PYTHON):
    """Versions by name."""
    return {name: next(iter(r.specifier)).version
            for name, r in _requirements(LOCKS[stack], python).items()}


LOCKED = _locked(STACK)


def test_every_command_has_its_module_with_main_and_run(setup_arguments):
    for entry in setup_arguments["entry_points"]["console_scripts"]:
        name, module, function = re.fullmatch(
            r"(\w+) = style_transfer\.scripts\.(\w+):(\w+)", entry).groups()
        if module == "magenta":  # tests/scripts/test_magenta_commands.py
            continue
        source = (ROOT / "scripts" / f"{module}.py").read_text()
        assert name == module and function == "run"
        assert "\ndef main(argv" in source and "\ndef run(" in source


def test_every_module_lies_in_a_package_that_is_installed(setup_arguments):
    folders = {pathlib.Path("style_transfer") / path.parent.relative_to(ROOT) for name in LINKED
               for path in (ROOT / name).rglob("*.py")}
    folders |= {path.parent.relative_to(ROOT)
                for path in (ROOT / "style_transfer").rglob("*.py")}
    packages = {pathlib.Path(*name.split(".")) for name in setup_arguments["packages"]}
    assert folders == packages


def test_every_data_file_of_the_library_is_shipped(setup_arguments):
    library = ROOT / "style_transfer"
    patterns = [p.replace("**/*", "*") for p in setup_arguments["package_data"]["style_transfer"]]
    files = [str(path.relative_to(library)) for path in library.rglob("*")
             if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
             and not any(part.startswith(".") for part in path.relative_to(library).parts)]
    assert files, "the trained weights are data files"
    assert not [f for f in files if not any(fnmatch.fnmatch(f, p) for p in patterns)]


@pytest.mark.parametrize(("stack", "python"), [
    ("classic", "3.10"), ("classic", "3.12"), ("current", "3.11"), ("current", "3.13")])
def test_a_lock_covers_all_that_is_asked_for(setup_arguments, stack, python):
    folder, locked = ROOT / "requirements", _locked(stack, python)
    text = "\n".join((folder / name).read_text() for name in ("common.in", f"{stack}.in"))
    extras = dict(setup_arguments["extras_require"])
    if stack == "current":
        del extras["io"]
    wanted = [*_requirements(text, python).values()] + [
        Requirement(line) for group in [setup_arguments["install_requires"], *extras.values()]
        for line in group]
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        name = canonicalize_name(requirement.name)
        if name == "tensorflow" and name not in locked:
            name = "tensorflow-cpu"
        assert name in locked, f"{requirement} is not in the lock: run scripts/lock"
        assert requirement.specifier.contains(locked[name]), requirement


def test_the_stacks_are_what_they_are_called():
    named = {"keras", "note-seq", "magenta", "keras-tcn", "ddsp", "librosa", "tensorflow-cpu"}
    classic, current = _locked("classic", "3.11"), _locked("current", "3.13")
    assert named | {"tensorflow-io"} <= classic.keys() and named <= current.keys()
    assert "tensorflow-io" not in current and classic["tensorflow-cpu"].startswith("2.16.")
    assert Version(current["tensorflow-cpu"]) >= Version("2.21")
    assert Version(current["keras"]) >= Version("3.15") and Version(current["numpy"]).major == 2


@pytest.mark.parametrize("stack", STACKS)
def test_a_lock_pins_versions_and_nothing_of_a_machine(stack):
    for line in LOCKS[stack].splitlines():
        assert re.match(r"\s*#|[a-z0-9][a-z0-9.-]*==\S+( ; .+)?$", line), line
    assert "://" not in LOCKS[stack] and not re.search(r"(^|\s)/", LOCKS[stack])


needs_lock_environment = pytest.mark.skipif(
    not (pathlib.Path(sys.prefix) / "lock.stamp").exists(),
    reason="this environment was not installed from the lock")


@needs_lock_environment
def test_what_is_installed_is_what_the_lock_says():
    # `version` finds the first on the path: setuptools brings older copies of some for itself.
    different = {name: (version, metadata.version(name)) for name, version in LOCKED.items()
                 if metadata.version(name) != version}
    assert not different


@needs_lock_environment
def test_only_packages_whose_pins_are_lifted_on_purpose_ask_for_something_else():
    have = {"tensorflow": LOCKED.get("tensorflow-cpu"), **LOCKED}
    unmet = [
        f"{name} wants {requirement}"
        for name in LOCKED.keys() - {"magenta", "ddsp", "basic-pitch"}
        for requirement in map(Requirement, metadata.requires(name) or [])
        if not requirement.marker or requirement.marker.evaluate({"extra": ""})
        for version in [have.get(canonicalize_name(requirement.name))]
        if version is None or not requirement.specifier.contains(version, prereleases=True)
    ]
    assert not unmet


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel in an environment of its own, beside somebody else's package `scripts`."""
    root = tmp_path_factory.mktemp("wheel")
    source, environment = root / "source", root / "environment"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(
        ".*", "out", "runs", "build", "*.egg-info", "__pycache__", "tests", "benchmarks"))
    python = environment / "bin" / "python"
    for command in (
            [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
             "--wheel-dir", root, source],
            [sys.executable, "-m", "venv", "--without-pip", environment]):
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    (wheel,) = root.glob("*.whl")
    site = next(environment.glob("lib/python*/site-packages"))
    # What the wheel depends on is taken from here; editable installations are not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "scripts").mkdir()
    (site / "scripts" / "__init__.py").write_text("WHOSE = 'somebody else'\n")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps",
                    "--quiet", str(wheel)], check=True, capture_output=True)
    return environment, wheel


def test_the_wheel_claims_one_name(installed):
    _, wheel = installed
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"style_transfer"}
    for folder in LINKED:
        assert f"style_transfer/{folder}/__init__.py" in names
    assert any(name.endswith("weights/piano_ddsp/model.weights.h5") for name in names)


def test_commands_of_the_wheel_run_beside_another_package_called_scripts(installed):
    environment, _ = installed

    def run(*command):
        program, *arguments = command
        done = subprocess.run([str(environment / "bin" / program), *arguments], cwd=environment,
                              env={"PATH": os.environ["PATH"]}, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "--style" in run("style_transfer_generate", "--help")
    assert "--as_played" in run("convert_dir_to_note_sequences", "--help")
    code = "import scripts, style_transfer; print(scripts.WHOSE, style_transfer.__file__)"
    whose, _, where = run("python", "-c", code).rpartition(" ")
    assert whose == "somebody else" and str(environment) in where


# --- Setting up a machine: scripts/_setup.sh --------------------------------------------------


def _bash(command, tools=(), cwd=ROOT, **environment):
    """Runs `command` after sourcing the set-up code, where only some programs exist."""
    path = cwd / "tools" if cwd != ROOT else None
    if path:
        path.mkdir()
        for tool in ("head", "cat", "cmp", "id", "uname", *tools):
            (path / tool).symlink_to(shutil.which(tool))
    return subprocess.run(
        [shutil.which("bash"), "-c", f". '{ROOT}/scripts/_setup.sh'; {command}"],
        cwd=cwd, capture_output=True, text=True, check=False,
        env={"PATH": str(path or os.environ["PATH"]), "HOME": str(cwd), **environment},
    )


def _fake_python(folder, name, version):
    """A program that answers like a Python of that version."""
    real = sys.executable
    path = folder / name
    path.write_text(
        f"#!{shutil.which('bash')}\n"
        f"exec {real} -c 'import sys; sys.version_info = {version}; exec(sys.argv[1])' \"$2\"\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("version", "suits"), [
    ((3, 9, 18), ()), ((3, 10, 0), ("classic",)), ((3, 12, 9), STACKS), ((3, 13, 0), ("current",)),
    ((3, 14, 0), ())])
def test_each_stack_takes_the_pythons_it_is_locked_for(tmp_path, version, suits):
    fake = _fake_python(tmp_path, "fake", version)
    for stack in STACKS:
        status = _bash(f"suitable_python '{fake}' {stack}").returncode
        assert (status == 0) == (stack in suits)


@pytest.mark.parametrize(("version", "arguments", "there", "chosen"), [
    ((3, 12, 1), "", None, "classic .venv"),
    ((3, 13, 1), "", None, "current .venv"),
    ((3, 12, 1), "--stack=current", None, "current .venv"),
    ((3, 12, 1), "--stack=current", "classic", "current .venv-current"),
    ((3, 12, 1), "", "current", "current .venv"),
])
def test_the_python_or_a_flag_chooses_the_stack(tmp_path, version, arguments, there, chosen):
    if there:
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        (tmp_path / ".venv" / "bin" / "python").touch()
        (tmp_path / ".venv" / "stack").write_text(f"{there}\n")
    tools = tmp_path / "tools"
    result = _bash(f"ln -s '{_fake_python(tmp_path, 'python3', version)}' '{tools}/python3'; "
                   f"take_stack {arguments} -k pedal && choose_stack && "
                   'echo "$STACK $VENV ${ARGUMENTS[*]}"', ("ln",), tmp_path)
    assert result.stdout == f"{chosen} -k pedal\n", result.stderr


def test_an_unknown_stack_is_refused():
    result = _bash("take_stack --stack=new")
    assert result.returncode == 1 and "classic or current" in result.stderr


def test_without_a_suitable_python_it_is_said_what_to_install(tmp_path):
    result = _bash("set_up", cwd=tmp_path)
    assert result.returncode == 1
    assert "No Python 3.10, 3.11 or 3.12" in result.stderr and "apt install" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_python_named_by_the_user_goes_first(tmp_path):
    fake = _fake_python(tmp_path, "mine", (3, 10, 1))
    assert _bash("find_python classic", PYTHON=str(fake)).stdout == f"{fake}\n"


def test_without_apt_it_is_said_what_to_install_for_rendering(tmp_path):
    result = _bash("want_fluidsynth", cwd=tmp_path)
    assert result.returncode == 0, "tests that do not render must still run"
    assert "skipped" in result.stderr and "timgm6mb-soundfont" in result.stderr


def test_without_apt_it_is_said_what_to_install_for_the_web_page(tmp_path):
    result = _bash("want_chromium", cwd=tmp_path)
    assert result.returncode == 0 and "skipped" in result.stderr
    assert "apt install chromium" in result.stderr and "playwright install" in result.stderr


def test_package_lists_are_fetched_when_apt_knows_no_package_yet(tmp_path):
    # Stands for apt-get on a fresh machine: installs only after an update.
    fake = tmp_path / "apt-get"
    fake.write_text(
        f"#!{shutil.which('bash')}\necho \"$1 ${{@: -1}}\" >> calls\n"
        "if [ \"$1\" = update ]; then echo > updated; else [ -f updated ]; fi\n"
    )
    fake.chmod(0o755)
    (tmp_path / "id").write_text(f"#!{shutil.which('bash')}\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    result = _bash("PATH=$PWD:$PATH; may_apt && apt_install fluidsynth timgm6mb-soundfont",
                   tools=("env", "mktemp", "rm", "tail"), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["install timgm6mb-soundfont", "update update", "install timgm6mb-soundfont"]


@pytest.mark.parametrize("changed", ["requirements/classic.lock", "setup.py"])
def test_an_installation_is_repeated_only_when_what_it_rests_on_changed(tmp_path, changed):
    (tmp_path / "requirements").mkdir()
    for name in ("requirements/classic.lock", "setup.py"):
        (tmp_path / name).write_text("one\n")
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    # Stands for the environment's Python: suits, and writes down what it is asked to install.
    (binaries / "python").write_text(
        f"#!{shutil.which('bash')}\n[ \"$1\" != -m ] || echo \"${{@: -1}}\" >> installed\n"
    )
    (binaries / "python").chmod(0o755)

    def installed(command):
        (tmp_path / "installed").write_text("")
        result = _bash(command, cwd=tmp_path)
        shutil.rmtree(tmp_path / "tools")
        assert result.returncode == 0, result.stderr
        return (tmp_path / "installed").read_text().split()

    assert installed("set_up") == ["requirements/classic.lock", "."]
    assert installed("set_up") == []
    (tmp_path / changed).write_text("two\n")
    # The packages of the lock bring commands that ours take the place of.
    assert installed("set_up") == (["requirements/classic.lock", "."] if changed.endswith("lock")
                                   else ["."])


# --- Examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["traeumerei", "study"])
def test_the_examples_are_what_their_script_writes(tmp_path, name):
    make_piece = runpy.run_path(str(ROOT / "examples" / "make_piece.py"))
    committed = ROOT / "examples" / {"study": "electric_grand.mid"}.get(name, f"{name}.mid")
    make_piece[name]().save(tmp_path / "made.mid")
    assert (tmp_path / "made.mid").read_bytes() == committed.read_bytes()


def test_a_bar_that_does_not_add_up_is_refused():
    make_piece = runpy.run_path(str(ROOT / "examples" / "make_piece.py"))
    with pytest.raises(ValueError, match="Bar 2 lasts 3.5 beats"):
        make_piece["notes_of_voice"]("C4/4 | D4/3.5 |", 4.0)
    assert make_piece["notes_of_voice"]("C4/4~ | C4/1 D4/3 |", 4.0) == [
        [1, 0.0, 0.0, 5.0, 60], [2, 1.0, 5.0, 3.0, 62]]


def test_the_style_clip_sounds_when_its_notes_do():
    import mido
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(ROOT / "examples" / "electric_grand.flac")
    assert 9.5 <= len(samples) / rate <= 10.5
    time, onsets = 0.0, []
    for message in mido.MidiFile(ROOT / "examples" / "electric_grand.mid"):
        time += message.time
        if message.type == "note_on" and message.velocity:
            onsets.append(time)
    window = int(0.03 * rate)
    gains = []
    for onset in sorted(set(onsets)):
        at = int(onset * rate)
        before, after = samples[max(at - window, 0):at], samples[at:at + window]
        if len(before) == window:
            gains.append(np.sqrt(np.mean(after**2) / (np.mean(before**2) + 1e-9)))
    # Soft notes under loud ones hide; most onsets must make it louder at their very time.
    assert np.median(gains) > 1.1 and len(gains) > 20


def test_the_demo_uses_files_that_are_there_and_small():
    named = re.findall(r"--(?:content|style|style_midi)=(\S+)", (ROOT / "scripts/demo").read_text())
    assert len(named) == 3 and all((ROOT / name).is_file() for name in named)
    assert sum(path.stat().st_size for path in (ROOT / "examples").iterdir()
               if path.is_file()) < 1_000_000


# --- What else names a version, or the steps ------------------------------------------------------


def test_the_version_is_the_same_wherever_it_stands(setup_arguments):
    import style_transfer

    newest = re.search(r"^## \[(\d\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert setup_arguments["version"] == style_transfer.__version__ == newest[1]


def test_the_docker_image_is_set_up_as_the_tests_are():
    text = (ROOT / "Dockerfile").read_text()
    for function in ("want_fluidsynth", "set_up"):
        assert function in text and f"\n{function}() {{" in (ROOT / "scripts/_setup.sh").read_text()
    version = re.search(r"^FROM python:3\.(\d+)", text, re.MULTILINE)
    assert 10 <= int(version[1]) <= 12
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ".venv*" in ignored and not {"scripts", "requirements"} & set(ignored)
    # Each file that a step names is there, as it is in the image.
    for run in re.findall(r"^RUN (.+)$", text, re.MULTILINE):
        for named in re.findall(r"(?<![\w/])(?:scripts|requirements)/[\w./-]+", run):
            assert (ROOT / named).is_file(), named
