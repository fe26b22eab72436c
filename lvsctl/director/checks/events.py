"""What people want to hear of verdicts. Pure."""

from collections.abc import Iterator

from lvsctl.director.checks.verdicts import News, Turn
from lvsctl.events import MAX_ITEMS, Event, EventKind
from lvsctl.health.target import TargetId
from lvsctl.reasons.reason import code_of, in_words


def health_events(news: News) -> Iterator[Event]:
    """Yield which servers rose and fell, and whose probes count for nothing.

    A fault of the director's own concerns many servers at once, so that is one event.
    """
    for target, turn in news.turns.items():
        yield from _on_health_changed(target, turn)
    if news.frozen:
        first = next(iter(news.frozen.values()))
        yield Event(
            EventKind.HEALTH_FROZEN,
            detail=f"probes of {len(news.frozen)} servers count for nothing, so they stay as they "
            f"are: {first}",
            items=tuple(map(str, list(news.frozen)[:MAX_ITEMS])),
            code=first.code,
        )
    if news.thawed:
        yield Event(
            EventKind.HEALTH_FROZEN_OVER,
            detail=f"probes of {len(news.thawed)} servers count again",
            items=tuple(sorted(map(str, news.thawed))[:MAX_ITEMS]),
        )


def _on_health_changed(target: TargetId, turn: Turn) -> Iterator[Event]:
    if turn.after is None or turn.after.healthy is None:
        return
    server = f"{target.pool}/{target.server}"
    if turn.after.healthy:
        if turn.before is not None:  # else it is only assumed healthy
            yield Event(EventKind.SERVER_UP, server, f"healthy for {target.vip}")
        return
    why = turn.after.reasons
    detail = f"down for {target.vip}: {in_words(why)}"
    yield Event(EventKind.SERVER_DOWN, server, detail, code=code_of(why))
