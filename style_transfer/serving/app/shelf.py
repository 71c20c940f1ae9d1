"""What the page's server keeps for a while: so many things, so long, under names nobody guesses."""

import secrets
import threading
import time

from style_transfer.serving.errors import NotFoundError, OverloadedError

KEY_BYTES = 18


class Shelf:
    """Things with `in_use` and `close()`, the longest unused of which make room for new ones.

    Args:
        places: Most things kept.
        keep_secs: How long an unused thing is kept.
        what: What a thing is called, for errors.
        clock: Gives seconds.
    """

    def __init__(self, places, keep_secs, what, clock=time.monotonic):
        self.places, self.keep_secs, self.what, self.clock = places, keep_secs, what, clock
        self._things = {}  # key -> [thing, when last used], longest unused first
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._things)

    def add(self, thing):
        """Keeps a thing and gives its key.

        Raises:
            OverloadedError: All places are taken by things in use.
        """
        key = secrets.token_urlsafe(KEY_BYTES)
        with self._lock:
            if len(self._things) >= self.places:
                unused = (k for k, (other, _) in self._things.items() if not other.in_use)
                oldest = next(unused, None)
                if oldest is None:
                    raise OverloadedError(f"All {self.places} places for a {self.what} are in "
                                          "use; try again later.")
                self._things.pop(oldest)[0].close()
            self._things[key] = [thing, self.clock()]
        return key

    def get(self, key):
        """The thing of a key.

        Raises:
            NotFoundError: It never was, or is kept no longer.
        """
        with self._lock:
            if not isinstance(key, str) or key not in self._things:
                raise NotFoundError(f"This {self.what} is no longer kept here. Begin again.")
            thing, _ = self._things.pop(key)
            self._things[key] = [thing, self.clock()]
            return thing

    def remove(self, key):
        """Forgets a thing, if it is there and not in use."""
        with self._lock:
            if key in self._things and not self._things[key][0].in_use:
                self._things.pop(key)[0].close()

    def sweep(self):
        """Forgets what has not been used for long."""
        until = self.clock() - self.keep_secs
        with self._lock:
            for key, (thing, used) in list(self._things.items()):
                if used < until and not thing.in_use:
                    self._things.pop(key)[0].close()

    def clear(self):
        """Forgets everything."""
        with self._lock:
            for thing, _ in self._things.values():
                thing.close()
            self._things.clear()

    def things(self):
        """All of them, longest unused first."""
        with self._lock:
            return [thing for thing, _ in self._things.values()]
