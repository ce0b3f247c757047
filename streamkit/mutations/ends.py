"""Where a stream is over: faults must come before it, for what comes after it is nobody's loss.

The dialect's own reader is asked, so that no second list of terminal events can disagree with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit import dialects
from streamkit.errors import DialectError, TruncatedStreamError, UsageError
from streamkit.mutations.registry import Inapplicable

if TYPE_CHECKING:
    from streamkit.mutations.stream import Stream

__all__ = ["is_over", "unfinished"]


def is_over(stream: Stream, count: int) -> bool:
    """Say whether the first events of a stream are a whole answer.

    Args:
        stream: the stream; what follows its last event is left out.
        count: how many events are read.

    Raises:
        Inapplicable: no dialect is known that could say; or the reader refuses the events for another reason than that
            more must come, as it may after another mutation: then nobody can say where the answer ends.
    """
    said = stream.once(_said)
    if count not in said:
        said[count] = _is_over(stream, count)
    return said[count]


def _said(stream: Stream) -> dict[int, bool]:
    """Return an empty record of what `is_over` said of a stream, by the number of events: many mutations ask."""
    return {}


def _is_over(stream: Stream, count: int) -> bool:
    try:
        dialect = dialects.get(stream.dialect) if stream.dialect else dialects.detect(stream.transcript)
    except UsageError:
        dialect = dialects.detect(stream.transcript)
    if dialect is None:
        raise Inapplicable("no dialect says where it ends")
    reader = dialect.reader()
    try:
        reader.feed(stream.cut(count).body())
        reader.close()
        reader.result()
    except TruncatedStreamError:
        return False
    except DialectError as error:
        raise Inapplicable(f"where it ends cannot be said: {error}") from None
    return True


def unfinished(stream: Stream) -> int:
    """Return the number of the event that ends the answer: the stream is cut short if it ends before that event.

    It is the number of events where no event ends it. An answer of several choices may look whole before another of
    them begins: ask `is_over` for one place.

    Raises:
        Inapplicable: no dialect is known that could say.
    """
    count = len(stream.events)
    if not is_over(stream, count):
        return count
    high = count  # over after `high` events, and not after `low`; the end is most often near the last event
    step = 1
    while (low := max(0, count - step)) > 0 and is_over(stream, low):
        high, step = low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if is_over(stream, middle):
            high = middle
        else:
            low = middle
    return low
