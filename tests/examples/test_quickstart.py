"""The notebook runs from top to bottom, and is kept without outputs."""

import pathlib
import shutil

import nbformat
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"


@pytest.fixture(scope="module")
def notebook():
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def test_it_is_kept_without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
    assert NOTEBOOK.stat().st_size < 20_000


@pytest.mark.slow
def test_it_plays_shows_keeps_and_transcribes(notebook, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    folder = tmp_path / "examples"
    folder.mkdir()
    for path in EXAMPLES.iterdir():
        if path.suffix in (".mid", ".flac"):
            shutil.copy(path, folder)
    # The kernel imports the package of this checkout, and keeps nothing in the user's folders.
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # figures are shown in the notebook
    client = NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(folder)}})
    client.execute()
    output = tmp_path / "out" / "quickstart"
    assert {path.name for path in output.glob("[!.]*")} == {
        "traeumerei.wav", "traeumerei.png", "electric_grand.piano", "heard.mid"}
    texts = "".join(out.get("text", "") for cell in notebook.cells if cell.cell_type == "code"
                    for out in cell.outputs)
    assert "the same: True" in texts
    f1 = float(texts.split("F1 ")[1].split()[0])
    assert f1 > 0.8
    kinds = [kind for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs
             for kind in out.get("data", {})]
    assert kinds.count("image/png") == 2 and kinds.count("text/html") == 2
