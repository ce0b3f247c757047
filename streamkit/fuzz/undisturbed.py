"""Work that no signal may break off: a second Ctrl-C while processes are being ended must not leave one behind."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["undisturbed"]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back the signals that ask for an end until the work inside is done.

    Only what Python itself handles is held back: a signal that ends the process at once still does. Elsewhere than on
    the main thread, where no handler ever runs, this does nothing.

    Raises:
        KeyboardInterrupt: afterwards, if such a signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold_back(number: int, frame: FrameType | None) -> None:
        came.append(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    old = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in old:
        signal.signal(number, hold_back)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
