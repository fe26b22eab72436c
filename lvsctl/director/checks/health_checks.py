"""The health checks of one director: from its farm to probes, and from their outcomes to verdicts.

A verdict changes only here, on the event loop. What it means for the table is compiled by the
reconciler, which is woken for the services of the server that it is about.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import structlog

from lvsctl.director.checks.announcer import Announcer
from lvsctl.director.checks.direct_probes import DirectProbes
from lvsctl.director.checks.expand import CheckedServer, checked_servers
from lvsctl.director.checks.path_monitor import ObservePaths, PathMonitor, PathObservation
from lvsctl.director.checks.reasons import director_is_suspected, meaning_of
from lvsctl.director.checks.statistics import ProbeStatistics
from lvsctl.director.checks.verdicts import Verdicts
from lvsctl.director.clock import ClockJump
from lvsctl.director.reconcile.cycle import Cycle
from lvsctl.director.state import State
from lvsctl.health.outcome import Inconclusive, Outcome, Passed, ProbeFailed
from lvsctl.health.path import PreparedPaths, TunnelProbe
from lvsctl.health.prober import Probe, Prober, ProbeResult
from lvsctl.health.silence import SilenceCorrelator
from lvsctl.health.target import ProbeId, TargetId
from lvsctl.health.verdict import Verdict, assumed_healthy, judge, unchecked
from lvsctl.net import IPAddress
from lvsctl.reasons.reason import Reasons

log = structlog.get_logger(__name__)

WITNESSES = 3
"""How many other servers are probed at once when one falls silent."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A probe through the tunnel that waits for a look; its end is on the event loop's clock."""

    report: ProbeResult
    ended_s: float


class HealthChecks:
    """Asks, judges, remembers; lives on the director's event loop.

    Args:
        verdicts: At first those of the director's last run.
        announcer: Passes on what becomes of them.
        probe: Asks once.
        look: Looks at what ways through the tunnel need of this director.
        findings: Returns what the agent of a name has found wrong on its host.
        now: The time of day, in UTC.
        random: Gives a number from 0 to 1.
    """

    def __init__(
        self,
        *,
        verdicts: Verdicts,
        announcer: Announcer,
        probe: Probe,
        look: ObservePaths,
        findings: Callable[[str], Sequence[str]],
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self.statistics = ProbeStatistics()
        self.verdicts = verdicts
        self._announcer = announcer
        self._findings = findings
        self._now = now
        self._prober = Prober(probe, self._reported, random)
        self._direct = DirectProbes(probe, self._answered_directly)
        self._looks = PathMonitor(look, self._looked)
        self._state: State | None = None
        self._prepared: PreparedPaths = {}
        self._checked: dict[str, Mapping[ProbeId, CheckedServer]] = {}
        self._silences = dict[tuple[str, IPAddress], SilenceCorrelator]()
        self._waiting: list[_Ended] = []
        self._assumed_healthy: set[TargetId] = set()
        self._outdated: set[str] = set()
        self._has_outdated = asyncio.Event()
        self._look_ended = asyncio.Event()

    async def run(self) -> None:
        """Ask, judge and keep verdicts until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._looks.run())
                tasks.create_task(self._follow())
                tasks.create_task(self._announcer.run())
        finally:
            await self._prober.stop()
            await self._direct.stop()

    def on_cycle(self, state: State, cycle: Cycle) -> None:
        """Take note of a cycle: of what should be checked, and what serves without a verdict."""
        farm, judged = state.farm, self.verdicts.pools
        pools = {target.pool for target in cycle.assumed_healthy}
        news = self._state is None or self._state.revision != state.revision
        if cycle.is_complete:
            self._looks.disturbed(cycle.mended_marks, asyncio.get_running_loop().time())
            news |= self._prepared != cycle.prepared_paths
            self._prepared = cycle.prepared_paths
            if news:
                pools |= {*farm.pools, *judged}
        elif news and cycle.dirty is not None:
            pools |= {farm.services[name].pool for name in cycle.dirty if name in farm.services}
            if not farm.services.keys() >= cycle.dirty:  # whose pool they had is not known
                pools |= judged
        self._state = state
        self._assumed_healthy |= cycle.assumed_healthy
        self._outdated |= {
            name
            for name in pools
            if name in judged or (name in farm.pools and farm.pools[name].health_checks)
        }
        if self._outdated:
            self._has_outdated.set()

    def clock_jumped(self, jump: ClockJump) -> None:
        """Let slow starts and times of grace keep the time that they had left."""
        self.verdicts.move(lambda at: jump.moved(at, made=at))
        self._announcer.announce()

    # --- what is asked ----------------------------------------------------------------------

    async def _follow(self) -> None:
        """Ask what the farm says, as it changes."""
        while True:
            await self._has_outdated.wait()
            self._has_outdated.clear()
            pools, self._outdated = self._outdated, set()
            try:
                await self._follow_pools(sorted(pools))
            except Exception:
                # A defect in lvsctl must leave the kernel serving and the API answering.
                log.exception("health checks do not follow the farm", pools=sorted(pools))

    async def _follow_pools(self, pools: Sequence[str]) -> None:
        """Take up pools, one after the other so that nothing else has to wait."""
        for pool in pools:
            self._take_up(pool)
            await asyncio.sleep(0)
        self._announcer.announce()
        ways = [way for pool in pools for way in self._ways(pool)]
        while not self._looks.have_seen(ways):  # a probe counts only after a look
            self._look_ended.clear()
            self._looks.ask()
            await self._look_ended.wait()
        for pool in pools:
            checked = self._checked.get(pool, {}).values()
            self._prober.watch(pool, [each.planned for each in checked if each.planned])
            await asyncio.sleep(0)

    def _take_up(self, name: str) -> None:
        """Expand a pool's checks into probes, and begin and end verdicts accordingly."""
        assert self._state is not None  # noqa: S101 - pools come from a state
        farm = self._state.farm
        pool = farm.pools.get(name)
        services = [farm.services[user] for user in self._state.index.users.get(name, ())]
        asked = checked_servers(pool, services, self._state.status, self._prepared) if pool else {}
        self._checked.pop(name, None)
        if asked:
            self._checked[name] = asked
        self._begin(asked)
        for probe_id in self.verdicts.of_pool(name) - asked.keys():
            self.verdicts.forget(probe_id)
        self._assumed_healthy = {target for target in self._assumed_healthy if target.pool != name}
        self._looks.follow(name, self._ways(name))
        self._attend(name, asked)

    def _begin(self, asked: Mapping[ProbeId, CheckedServer]) -> None:
        """Give each question a verdict; what serves already is not taken out for want of one."""
        now = self._now()
        health = self.verdicts.health  # as it is now: the first new question would change it
        for probe_id, each in asked.items():
            verdict = self.verdicts.get(probe_id)
            if verdict is None:
                known = health.get(probe_id.target)
                serves = probe_id.target in self._assumed_healthy or (known and known.healthy)
                verdict = (assumed_healthy if serves else unchecked)(now)
                self.verdicts.set(probe_id, verdict)
            if each.obstacle:
                stopped = judge(verdict, Inconclusive(each.obstacle), each.check, now)
                self.verdicts.set(probe_id, stopped)

    def _attend(self, name: str, asked: Mapping[ProbeId, CheckedServer]) -> None:
        """Listen for silences among a pool's present servers alone."""
        servers = dict[tuple[str, IPAddress], set[IPAddress]]()
        for probe_id, each in asked.items():
            if each.way:
                servers.setdefault((name, probe_id.target.vip), set()).add(each.member.address)
        for key in [key for key in self._silences if key[0] == name and key not in servers]:
            del self._silences[key]
        for key, addresses in servers.items():
            self._silences.setdefault(key, SilenceCorrelator()).retain(addresses)

    def _ways(self, pool: str) -> Sequence[TunnelProbe]:
        return [each.way for each in self._checked.get(pool, {}).values() if each.way]

    # --- what comes of it -------------------------------------------------------------------

    def _reported(self, report: ProbeResult) -> Verdict:
        """Judge a probe, or let it wait for a look; return by what the next one is due."""
        now = self._now()
        asked = self._asked(report)
        verdict = self.verdicts.get(report.planned.id) or unchecked(now)
        if asked is None:
            return verdict
        if asked.way is None:
            self.statistics.add(report, report.outcome)
            verdict = self._judge(asked, report.outcome)
            self._announcer.announce()
            return verdict
        self._waiting.append(_Ended(report, asyncio.get_running_loop().time()))
        self._looks.ask()
        if isinstance(report.outcome, ProbeFailed):
            self._direct.ask(asked)
        return judge(verdict, report.outcome, asked.check, now)

    def _asked(self, report: ProbeResult) -> CheckedServer | None:
        """Return who was asked; None where that is not asked any more, or not so."""
        planned = report.planned
        asked = self._checked.get(planned.id.target.pool, {}).get(planned.id)
        return asked if asked and asked.planned == planned else None

    def _looked(self, look: PathObservation) -> None:
        """Judge the probes that had ended before a look began."""
        ready = [ended for ended in self._waiting if ended.ended_s <= look.began_s]
        later = [ended for ended in self._waiting if ended.ended_s > look.began_s]
        self._waiting = [ended for ended in ready if not self._settled(ended)] + later
        self._announcer.announce()
        self._look_ended.set()
        if self._waiting:
            self._looks.ask()

    def _settled(self, ended: _Ended) -> bool:
        """Judge a probe through the tunnel; say whether that could be done."""
        asked = self._asked(ended.report)
        if asked is None or asked.way is None:
            return True
        problem = self._looks.problem(asked.way, ended.report.began_s)
        outcome = Inconclusive(problem) if problem else ended.report.outcome
        self._note(asked, outcome, ended.ended_s)
        silent = isinstance(outcome, ProbeFailed) and outcome.silent
        if silent and self._direct.is_asking(asked) and self._would_fall(asked):
            return False  # whether it answers directly decides whose fault this is
        if silent and self._answers_directly(asked):
            if self._hears_others_first(asked):
                return False
            if self._is_in_doubt(asked, ended.report.began_s):
                return True  # the next probe tells
            outcome = self._suspicion(asked) or outcome
        self.statistics.add(ended.report, outcome)
        self._judge(asked, outcome)
        return True

    def _silence(self, asked: CheckedServer) -> SilenceCorrelator:
        return self._silences.setdefault(
            (asked.id.target.pool, asked.id.target.vip), SilenceCorrelator()
        )

    def _note(self, asked: CheckedServer, outcome: Outcome, at_s: float) -> None:
        """Take note of what is heard of a server, and of its others."""
        server, silence = asked.member.address, self._silence(asked)
        match outcome:
            case ProbeFailed(silent=True):
                silence.record_silence(server, at_s)
            case ProbeFailed():
                silence.record_answer(server, at_s)
            case Passed():
                silence.record_answer(server, at_s)
                self._direct.forget(asked)
            case Inconclusive():
                silence.record_inconclusive(server, at_s)

    def _answers_directly(self, asked: CheckedServer) -> bool:
        return isinstance(self._direct.said(asked), Passed)

    def _would_fall(self, asked: CheckedServer) -> bool:
        verdict = self.verdicts.get(asked.id)
        return bool(verdict and verdict.healthy and verdict.against + 1 >= asked.check.fall)

    def _hears_others_first(self, asked: CheckedServer) -> bool:
        """Say whether it has to be known first if others fell silent too; ask some of them now."""
        not_probed = self._silence(asked).not_probed_since(asked.member.address)
        if not not_probed:
            return False
        others = (each.planned for each in self._at(not_probed, asked) if each.planned)
        self._prober.probe_now(islice(others, WITNESSES))
        return self._would_fall(asked)

    def _is_in_doubt(self, asked: CheckedServer, began_s: float) -> bool:
        """Say whether a server would fall by a probe that may have been answered.

        When it began, it was not known yet that this director lets answers in.
        """
        others_answered_s = self._silence(asked).others_answered_s.get(asked.member.address)
        return (
            others_answered_s is not None
            and began_s < others_answered_s
            and self._would_fall(asked)
        )

    def _suspicion(self, asked: CheckedServer) -> Inconclusive | None:
        """Return why the silence of a server counts for nothing; None where it counts."""
        suspects = self._silence(asked).suspects(asked.member.address)
        if not suspects:
            return None
        answering = {
            each.member.address
            for each in self._at(suspects, asked)
            if self._answers_directly(each)
        }
        return Inconclusive(director_is_suspected(asked, len(suspects), len(answering)))

    def _at(
        self, addresses: Collection[IPAddress], asked: CheckedServer
    ) -> Iterator[CheckedServer]:
        """Yield what the servers at some addresses are asked, of the pool and VIP of one."""
        of_pool = self._checked[asked.id.target.pool].values()
        return (
            each
            for each in of_pool
            if each.id.target.vip == asked.id.target.vip and each.member.address in addresses
        )

    def _judge(self, asked: CheckedServer, outcome: Outcome) -> Verdict:
        now = self._now()  # first: the verdicts move with it
        before = self.verdicts.get(asked.id) or unchecked(now)
        if isinstance(outcome, ProbeFailed):
            outcome = replace(outcome, meaning=self._meaning(asked, outcome))
        verdict = judge(before, outcome, asked.check, now)
        self.verdicts.set(asked.id, verdict)
        return verdict

    def _meaning(self, asked: CheckedServer, failed: ProbeFailed) -> Reasons:
        agent = asked.member.agent
        findings = self._findings(agent.name) if agent else ()
        return meaning_of(asked, failed, self._direct.said(asked), findings)

    def _answered_directly(self, asked: CheckedServer) -> None:
        """Say more of a server that was found down before it was known what that means."""
        verdict = self.verdicts.get(asked.id)
        if verdict and verdict.healthy is False and isinstance(verdict.last, ProbeFailed):
            last = replace(verdict.last, meaning=self._meaning(asked, verdict.last))
            self.verdicts.set(asked.id, replace(verdict, reasons=last.why, last=last))
            self._announcer.announce()
