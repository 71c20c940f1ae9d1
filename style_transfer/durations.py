"""How long things take, in words."""


def left(secs, done, total):
    """What is left of work, such as `12 min left`, if it goes on as it went.

    Args:
        secs: What it has taken so far.
        done: How much of it is done, more than 0.
        total: How much there is.
    """
    secs = secs * (total - done) / done
    if secs < 100:
        return f"{secs:.0f} s left"
    return f"{secs / 60:.0f} min left" if secs < 6000 else f"{secs / 3600:.1f} h left"
