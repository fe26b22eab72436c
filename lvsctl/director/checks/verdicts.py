"""Every verdict of one director, what they come to for each server, and what of that is news."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import KeptVerdict, Verdict, moved, resumed
from lvsctl.health.weights import Health, health_of
from lvsctl.reasons.reason import Reason


@dataclass(frozen=True, slots=True)
class Turn:
    """A server whose health became another; None where it was, or is, not checked."""

    before: Health | None
    after: Health | None


@dataclass(slots=True)
class News:
    """What has changed since somebody asked last.

    Attributes:
        turns: Servers that became healthy or unhealthy, or began or ceased to be checked.
        frozen: Servers whose probes count for nothing now and did before, and why.
        thawed: Servers whose probes count again.
        to_keep: What has to outlive the director; None forgets.
    """

    turns: dict[TargetId, Turn] = field(default_factory=dict)
    frozen: dict[TargetId, Reason] = field(default_factory=dict)
    thawed: set[TargetId] = field(default_factory=set)
    to_keep: dict[ProbeId, KeptVerdict | None] = field(default_factory=dict)


class Verdicts:
    """The verdicts, each by its question.

    Args:
        kept: Those of the director's last run.
    """

    def __init__(self, kept: Mapping[ProbeId, KeptVerdict]) -> None:
        self._by_target: dict[TargetId, Mapping[ProbeId, Verdict]] = {}
        self._health: dict[TargetId, Health] = {}
        self._by_pool: dict[str, set[TargetId]] = {}
        self._news = News()
        for target, verdicts in _by_target(kept).items():
            health = health_of(verdicts.values())
            if health.healthy is None:
                # Whether it serves, the kernel tells, which a disk that went back does not.
                self._news.to_keep |= dict.fromkeys(verdicts)
                continue
            self._by_target[target] = verdicts
            self._health[target] = health
            self._by_pool.setdefault(target.pool, set()).add(target)
        self._shown: Mapping[TargetId, Health] | None = None
        self._frozen: dict[TargetId, Reason] = {}

    @property
    def health(self) -> Mapping[TargetId, Health]:
        """The health of each checked server for each VIP; a frozen value."""
        if self._shown is None:
            self._shown = dict(self._health)
        return self._shown

    @property
    def frozen(self) -> Mapping[TargetId, Reason]:
        """The servers whose probes count for nothing now, and why."""
        return self._frozen

    @property
    def all(self) -> Mapping[TargetId, Mapping[ProbeId, Verdict]]:
        """The verdict of each check of each server for each VIP; a value that stays as it is."""
        return dict(self._by_target)

    def get(self, probe_id: ProbeId) -> Verdict | None:
        """Return the verdict on a question; None where it was not asked."""
        return self._by_target.get(probe_id.target, {}).get(probe_id)

    @property
    def pools(self) -> frozenset[str]:
        """The pools that have verdicts."""
        return frozenset(self._by_pool)

    def of_pool(self, pool: str) -> frozenset[ProbeId]:
        """Return the questions to a pool's servers that have a verdict."""
        targets = self._by_pool.get(pool, ())
        return frozenset(probe_id for target in targets for probe_id in self._by_target[target])

    def set(self, probe_id: ProbeId, verdict: Verdict) -> None:
        """Put a verdict in the place of what was there."""
        before = self.get(probe_id)
        of_target = self._by_target.get(probe_id.target, {})
        self._by_target[probe_id.target] = {**of_target, probe_id: verdict}
        self._by_pool.setdefault(probe_id.target.pool, set()).add(probe_id.target)
        if before is None or before.kept != verdict.kept:
            self._news.to_keep[probe_id] = verdict.kept
            self._sum_up(probe_id.target)
        if before is None or before.frozen != verdict.frozen:
            self._sum_up(probe_id.target)
            self._freeze(probe_id.target)

    def forget(self, probe_id: ProbeId) -> None:
        """Take a verdict away: nobody asks any more."""
        of_target = self._by_target.get(probe_id.target, {})
        if probe_id not in of_target:
            return
        self._news.to_keep[probe_id] = None
        rest = {each: verdict for each, verdict in of_target.items() if each != probe_id}
        self._by_target[probe_id.target] = rest
        if not rest:
            self._drop(probe_id.target)
        self._sum_up(probe_id.target)
        self._freeze(probe_id.target)

    def move(self, move: Callable[[datetime], datetime]) -> None:
        """Move all times along with the time of day, which was set."""
        for verdicts in list(self._by_target.values()):
            for probe_id, verdict in verdicts.items():
                self.set(probe_id, moved(verdict, move))

    def take_news(self) -> News:
        """Return what has changed since this was called last."""
        news, self._news = self._news, News()
        return news

    def _drop(self, target: TargetId) -> None:
        del self._by_target[target]
        of_pool = self._by_pool[target.pool]
        of_pool.discard(target)
        if not of_pool:
            del self._by_pool[target.pool]

    def _sum_up(self, target: TargetId) -> None:
        verdicts = self._by_target.get(target)
        before = self._health.get(target)
        after = health_of(verdicts.values()) if verdicts else None
        if before == after:
            return
        self._shown = None
        if after is None:
            del self._health[target]
        else:
            self._health[target] = after
        if before is None or after is None or before.healthy is not after.healthy:
            first = self._news.turns.get(target)
            self._news.turns[target] = Turn(first.before if first else before, after)

    def _freeze(self, target: TargetId) -> None:
        verdicts = self._by_target.get(target, {}).values()
        reasons = [each.frozen.reason for each in verdicts if each.frozen]
        had = target in self._frozen
        if reasons:
            self._frozen[target] = reasons[0]
            if not had:
                self._news.frozen[target] = reasons[0]
                self._news.thawed.discard(target)
        elif had:
            del self._frozen[target]
            self._news.thawed.add(target)
            self._news.frozen.pop(target, None)


def _by_target(kept: Mapping[ProbeId, KeptVerdict]) -> Mapping[TargetId, Mapping[ProbeId, Verdict]]:
    found: dict[TargetId, dict[ProbeId, Verdict]] = {}
    for probe_id, verdict in kept.items():
        found.setdefault(probe_id.target, {})[probe_id] = resumed(verdict)
    return found
