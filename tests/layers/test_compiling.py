import atexit

from style_transfer.layers import compiling


def test_what_is_kept_is_made_once_and_let_go_before_pythons_end(monkeypatch):
    at_exit, made = [], []
    monkeypatch.setattr(atexit, "register", at_exit.append)

    @compiling.kept(2)
    def make(name):
        made.append(name)
        return object()

    assert make("a") is make("a") and made == ["a"]
    for function in at_exit:
        function()
    make("a")
    assert made == ["a", "a"], "it was let go"
