# Sourced by scripts/demo and scripts/test: makes .venv and installs the project, once.
#
# Two sets of versions are locked: requirements/classic.lock (Python 3.10-3.12) and
# requirements/current.lock (3.11-3.13). The Python that is found chooses, or `--stack=NAME`.
#
# Needs Python 3.10-3.13 and a connection. System packages are installed through apt where that is
# allowed without a question (root, or sudo without a password); elsewhere it is said what to do.

say() { printf '%s\n' "$*" >&2; }

# Whether apt-get is here and may be used without asking anybody.
may_apt() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# apt_install PACKAGE...: quiet, and an error rather than a question.
apt_install() {
  local as_root=() log
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  log=$(mktemp)
  say "Installing $* through apt..."
  for attempt in 1 2; do
    if ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@" >"$log" 2>&1; then
      rm -f "$log"
      return 0
    fi
    # A fresh machine or container has no package lists yet.
    [ "$attempt" = 2 ] || ${as_root[@]+"${as_root[@]}"} apt-get update >>"$log" 2>&1 || true
  done
  tail -n 5 "$log" >&2
  rm -f "$log"
  return 1
}

STACK=""  # classic or current, once it has been chosen
VENV=.venv  # of the first stack that was set up here; the other lies beside it

# take_stack ARGUMENT...: takes --stack=NAME out of the arguments, which it leaves in $ARGUMENTS.
take_stack() {
  local argument
  ARGUMENTS=()
  for argument in "$@"; do
    case "$argument" in
      --stack=classic | --stack=current) STACK=${argument#--stack=} ;;
      --stack*) say "--stack is classic or current: --stack=current, got $argument."; return 1 ;;
      *) ARGUMENTS+=("$argument") ;;
    esac
  done
}

# Whether $1 is a Python of a version that the lock of stack $2 covers.
suitable_python() {
  local oldest=10 newest=12
  [ "$2" = classic ] || { oldest=11 newest=13; }
  command -v "$1" >/dev/null &&
    "$1" -c "import sys; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null
}

# Prints the first Python that suits stack $1; $PYTHON goes first. Others: the version measured most
# first.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.10 python3.13 python3 python \
      "$HOME"/.pyenv/versions/3.1[0123].*/bin/python; do
    if suitable_python "$candidate" "$1"; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Sets $STACK, unless it was named, and $VENV. A Python that only current has takes it.
choose_stack() {
  local there=""
  [ ! -e .venv/bin/python ] || there=$(cat .venv/stack 2>/dev/null || echo classic)
  if [ -z "$STACK" ]; then
    if [ -n "${PYTHON:-}" ]; then
      if suitable_python "$PYTHON" classic; then STACK=classic; else STACK=current; fi
    elif [ -n "$there" ]; then
      STACK=$there
    elif find_python classic >/dev/null || ! find_python current >/dev/null; then
      STACK=classic
    else
      STACK=current
    fi
  fi
  if [ -z "$there" ] || [ "$there" = "$STACK" ]; then VENV=.venv; else VENV=.venv-$STACK; fi
}

# A Debian Python has no ensurepip until its -venv package is there.
ensure_venv_module() {
  local version
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return 0
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  may_apt && apt_install "python$version-venv" && "$1" -c 'import ensurepip' 2>/dev/null && return 0
  say "This Python cannot make virtual environments: $1"
  say "Install its venv module by hand, on Debian or Ubuntu: sudo apt install python$version-venv"
  return 1
}

make_venv() {
  local python
  if ! python=$(find_python "$STACK"); then
    if [ "$STACK" = classic ]; then say "No Python 3.10, 3.11 or 3.12 was found. Install one:"
    else say "No Python 3.11, 3.12 or 3.13 was found. Install one:"; fi
    say "  Debian, Ubuntu: sudo apt install python3 python3-venv (if its version is one of these)"
    say "  macOS:          brew install python@3.11"
    say "  anywhere:       uv python install 3.11"
    say "or name one: PYTHON=/path/to/python3.11 $0"
    return 1
  fi
  ensure_venv_module "$python" || return 1
  say "Making $VENV with $("$python" --version) ($python), stack $STACK..."
  "$python" -m venv --clear "$VENV" && echo "$STACK" >"$VENV/stack"
}

# Whether the file $1 says that what stdin says has been done.
is_stamped() { [ -f "$1" ] && cmp -s - "$1"; }

# What an installation depends on: a moved .venv has the wrong paths in its commands.
lock_state() { pwd; cat "requirements/$STACK.lock"; }
project_state() { lock_state; cat setup.py; }

# The rest of Magenta's commands ends in a traceback on Keras 3; ours of its names come afterwards.
remove_magenta_commands() {
  "$VENV/bin/python" - <<'PYTHON'
import importlib.metadata, pathlib, sys
for entry in importlib.metadata.entry_points(group="console_scripts"):
    if entry.dist.name == "magenta":
        pathlib.Path(sys.prefix, "bin", entry.name).unlink(missing_ok=True)
PYTHON
}

install_lock() {
  lock_state | is_stamped "$VENV/lock.stamp" && return 0
  say "Installing the packages of requirements/$STACK.lock into $VENV (some minutes, once)..."
  # --no-deps: the lock is complete, and pins of 2022 inside magenta and ddsp would refuse it.
  # --use-pep517: what has no wheel is built apart, with a setuptools that the old pip of an old
  # system would not take.
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --use-pep517 \
    -r "requirements/$STACK.lock" || return 1
  remove_magenta_commands || return 1
  lock_state >"$VENV/lock.stamp"
}

install_project() {
  project_state | is_stamped "$VENV/project.stamp" && return 0
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --use-pep517 \
    --no-build-isolation --editable . || return 1
  project_state >"$VENV/project.stamp"
}

# The one entry: afterwards $VENV/bin holds Python, every dependency and the project's commands.
set_up() {
  if [ "$(uname -s)-$(uname -m)" = Darwin-x86_64 ]; then
    say "Warning: numba, cryptography and apache-beam publish no builds for Intel Macs any more,"
    say "so installing their lock will need compilers, or fail. Use Linux or an ARM Mac."
  fi
  choose_stack
  if ! suitable_python "$VENV/bin/python" "$STACK" ||
      { [ -f "$VENV/lock.stamp" ] && [ "$(head -n 1 "$VENV/lock.stamp")" != "$(pwd)" ]; }; then
    make_venv || return 1
  fi
  if ! { install_lock && install_project; }; then
    say "Installing into $VENV failed; the reason stands above. Once it is mended, run $0 again:"
    say "what is installed already is kept."
    return 1
  fi
}

# What tests that render need. Without it they are skipped, and say why.
want_fluidsynth() {
  local soundfont=/usr/share/sounds/sf2/TimGM6mb.sf2
  command -v fluidsynth >/dev/null && [ -f "$soundfont" ] && return 0
  may_apt && apt_install fluidsynth timgm6mb-soundfont && return 0
  say "Tests that render through FluidSynth will be skipped. To run them, install by hand:"
  say "  Debian, Ubuntu: sudo apt install fluidsynth timgm6mb-soundfont"
  say "  macOS:          brew install fluid-synth, and TimGM6mb.sf2 as $soundfont"
}

# What tests of the web page need. Without it they are skipped, and say why.
want_chromium() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && return 0
  done
  may_apt && apt_install chromium && return 0
  say "Tests that look at the web page will be skipped. To run them, install by hand:"
  say "  Debian, Ubuntu: sudo apt install chromium"
  say "  elsewhere:      $VENV/bin/playwright install chromium"
}
