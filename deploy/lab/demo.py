"""The main job, shown step by step: a farm is applied, serves, and loses a server unnoticed."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.lab.application import Application, start_application
from deploy.lab.capture import Capture
from deploy.lab.client import Answer, request, requests
from deploy.lab.daemons import FarmDaemons
from deploy.lab.load import Load
from deploy.lab.packets import Packet, Tcp, TcpFlag
from deploy.lab.poll import poll
from deploy.lab.topology import vip

FARM_FILE = Path(__file__).parent / "farm.yaml"
SERVERS = ("rs1", "rs2", "rs3")
VIP = vip(10)
PICTURE = """
      c1 192.0.2.201 (client)
       │
   ────┴──────┬───────────┬───────────┬───────────┬────  192.0.2.0/24
              │           │           │           │
             lb1         rs1         rs2         rs3
             .10         .11         .12         .13
          director    real servers, each with an agent and an application
   VIP 198.51.100.10
"""
_SERVED_WITHIN_S = 30.0
_ENOUGH = 100  # requests


def start(daemons: FarmDaemons) -> None:
    """Start director, agents and applications, and apply the farm."""
    _say("A client, a director and three real servers, each a network namespace of one kernel:")
    _say(PICTURE)
    daemons.start_director()
    for name in SERVERS:
        node = daemons.network[name]
        start_application(node, Application(name, udp_addresses=(VIP,)))
        daemons.start_agent(name)
    _run(daemons, "lb1", ["lvsctl", "apply", "-f", str(FARM_FILE)])
    daemons.wait_until_served_by("web", SERVERS, _SERVED_WITHIN_S)


def show(daemons: FarmDaemons) -> None:
    """Show what the farm does, on the network of :func:`deploy.lab.topology.farm_topology`."""
    _show_balancing(daemons)
    _show_the_wire(daemons)
    _show_leaving(daemons)


def _show_balancing(daemons: FarmDaemons) -> None:
    _run(daemons, "lb1", ["lvsctl", "server", "list"])
    _run(daemons, "lb1", ["ipvsadm", "-Ln"])
    _say(f"c1 asks http://{VIP}/ thirty times, each time over a new connection:")
    answers = requests(daemons.network["c1"], VIP, count=30)
    _say(_table(answers))
    seen = {answer.client for answer in answers}
    _say(f"The applications saw the client's own address: {', '.join(map(str, seen))}\n")


def _show_the_wire(daemons: FarmDaemons) -> None:
    network = daemons.network
    with Capture(network["lb1"]) as at_director, Capture(network["c1"]) as at_client:
        server = request(network["c1"], VIP).server
        _say(f"The first packets of a connection that {server} answered:")
        _say(f"  into lb1    {_first(at_director.packets(outgoing=False), tunnelled=False)}")
        _say(f"  out of lb1  {_first(at_director.packets(outgoing=True), tunnelled=True)}")
        _say(f"  into c1     {_first(at_client.packets(outgoing=False), tunnelled=False)}")
        back = [packet for packet in at_director.packets() if packet.ip.source == VIP]
    _say(f"Of the answer lb1 saw {len(back)} packets: it came straight from {server}.\n")


def _show_leaving(daemons: FarmDaemons) -> None:
    network = daemons.network
    _say("rs3 leaves while c1 opens 50 connections a second:")
    with Load(network["c1"], VIP, per_s=50) as load:
        poll(lambda: len(load.so_far()) > _ENOUGH, _SERVED_WITHIN_S)
        before = len(load.so_far())
        state_dir = str(daemons.agent_state("rs3"))
        _run(
            daemons,
            "rs3",
            ["lvsctl", "agent", "leave", "--deadline", "10s", "--state-dir", state_dir],
        )
        after = len(load.so_far())
        poll(lambda: len(load.so_far()) > after + _ENOUGH, _SERVED_WITHIN_S)
        answers = load.stop()
    _say("before:")
    _say(_table(answers[:before]))
    _say("after:")
    _say(_table(answers[after:]))
    failed = sum(bool(answer.error) for answer in answers)
    _say(f"Of {len(answers)} requests {failed} failed.\n")
    if failed:
        sys.exit(1)


def _first(packets: Iterable[Packet], *, tunnelled: bool) -> str:
    """Describe the first SYN, in a tunnel or without."""
    for packet in packets:
        transport = packet.transport
        if isinstance(transport, Tcp) and TcpFlag.SYN in transport.flags:
            inner = (
                f"{packet.ip.source}:{transport.source_port} → "
                f"{packet.ip.destination}:{transport.destination_port} "
                f"{'+'.join(flag.name or '' for flag in transport.flags)}"
            )
            outer = packet.outer
            if outer and tunnelled:
                return f"{outer.source} → {outer.destination} protocol {outer.protocol} [ {inner} ]"
            if not outer and not tunnelled:
                return inner
    return "nothing"


def _table(answers: Sequence[Answer]) -> str:
    counts = Counter(answer.server or f"failed: {answer.error}" for answer in answers)
    rows = (f"  {name:6} {count:4}  {'█' * count}\n" for name, count in sorted(counts.items()))
    return "".join(rows)


def _run(daemons: FarmDaemons, node: str, argv: Sequence[str]) -> None:
    variables = [f"LVSCTL_URL={daemons.url}", f"LVSCTL_TOKEN={daemons.token}"]
    _say(f"{node}# {' '.join(argv)}")
    done = daemons.network[node].run(["env", *variables, *argv])
    _say(done.stdout)


def _say(text: str) -> None:
    print(text, flush=True)
