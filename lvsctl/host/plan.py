"""What must change on a host, given what is wanted and what is observed. Pure."""

from dataclasses import replace

from lvsctl.host.interface import Config, HostChange, HostState, LinkConfig


def satisfies(wanted: Config | None, observed: Config | None) -> bool:
    """Tell whether a thing is as wanted; a link's MTU of None means that any will do."""
    match wanted, observed:
        case LinkConfig(mtu=None), LinkConfig(mtu=mtu):
            return replace(wanted, mtu=mtu) == observed
        case _:
            return wanted == observed


def changes(wanted: HostState, observed: HostState) -> tuple[HostChange, ...]:
    """Return what makes a host as wanted, in the order of ``wanted``.

    Args:
        wanted: What should be; an order that is safe to be interrupted anywhere is the caller's.
        observed: What is, at least for every key of ``wanted``.
    """
    return tuple(
        HostChange(key, config)
        for key, config in wanted.items()
        if not satisfies(config, observed[key])
    )
