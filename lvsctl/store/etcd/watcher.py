"""Follows a farm's log in etcd on a thread of its own, so that nobody who reads has to wait."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from lvsctl.errors import StoreBehind, StoreError
from lvsctl.store.etcd.gateway import Stream
from lvsctl.store.etcd.layout import Head
from lvsctl.store.etcd.log import EtcdLog, News

LOOK_EVERY_S = 2.0
"""How often the head is read where nothing was announced: a watch may fall silent for ever."""
ANSWER_WITHIN_S = 3.0
RETRY_AFTER_S = 0.5

log = structlog.get_logger(__name__)


class LogWatcher:
    """Fetches what others commit, and announces it.

    Args:
        etcd: The log; this thread's alone from :meth:`start` on.
        known: The head up to which the store has everything.
        announce: Called in the watcher's thread when there is something to take.
        monotonic: Seconds since some moment.
    """

    def __init__(
        self,
        etcd: EtcdLog,
        known: Head,
        announce: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._etcd = etcd
        self._known = known
        self._announce = announce
        self._monotonic = monotonic
        self._news: deque[tuple[Head, News]] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._stream = Stream()
        self._thread = threading.Thread(target=self._run, name="etcd", daemon=True)
        self._failing_since: float | None = None
        self.behind = ""
        """Why etcd does not continue what the store has; empty where it does."""
        self.problem = ""
        """Why nothing can be read from etcd; empty where it can."""

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """End, within a moment."""
        self._stop.set()
        self._stream.end()
        if self._thread.ident is not None:
            self._thread.join()
        self._etcd.close()

    def failing_for_s(self) -> float:
        """Return for how long nothing could be read, in seconds."""
        since = self._failing_since
        return 0.0 if since is None else self._monotonic() - since

    def take(self) -> Iterator[tuple[Head, News]]:
        """Yield what was fetched since, in order, each with the head that it leads to."""
        while self._news:
            yield self._news.popleft()

    def give_back(self, head: Head, news: News) -> None:
        """Keep what could not be stored for the next time."""
        self._news.appendleft((head, news))

    @contextmanager
    def own_commit(self) -> Iterator[Callable[[Head], None]]:
        """Yield what notes a commit of this director, which is not fetched then."""
        with self._lock:
            yield self._note

    def follow_from(self, head: Head) -> None:
        """Go on from another head, which the store has taken over whole."""
        with self._lock:
            self._news.clear()
            self._note(head)
            self.behind = ""

    def _note(self, head: Head) -> None:
        self._known = head

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                found = self._look()
            except Exception:
                # A defect in lvsctl must not end the following of the farm for good.
                log.exception("the farm in etcd could not be read")
                found = False
            if not found:
                self._stop.wait(RETRY_AFTER_S)
            elif not self._stop.is_set():
                self._etcd.wait(self._known, LOOK_EVERY_S, self._stream)

    def _look(self) -> bool:
        """Fetch what was committed; return whether etcd answers."""
        known = self._known
        behind, problem, found = "", "", None
        try:
            found = self._etcd.news_after(known, ANSWER_WITHIN_S)
        except StoreBehind as error:
            behind = str(error)
        except StoreError as error:
            problem = str(error)
        with self._lock:
            if self._known is not known:
                return True  # this director has committed meanwhile
            changed = (behind, problem) != (self.behind, self.problem)
            self.behind, self.problem = behind, problem
            if not problem:
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = self._monotonic()
            if found:
                self._known = found[0]
                self._news.append(found)
        if found or changed or problem:
            self._announce()
        return not problem and not behind
