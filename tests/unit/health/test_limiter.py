"""ProbeLimiter: bounded, fair, and not used up by dead servers."""

import asyncio

import pytest

from lvsctl.health.limiter import ProbeLimiter
from tests.unit.virtual_time import run


def test_the_number_of_probes_is_bounded() -> None:
    """However many are waiting, for healthy or dead servers."""

    async def crowd() -> int:
        limiter, most = ProbeLimiter(8), 0

        async def one(number: int) -> None:
            nonlocal most
            async with limiter.slot(slow=number % 3 == 0):
                most = max(most, len(limiter))
                await asyncio.sleep(number % 5)

        await asyncio.gather(*map(one, range(100)))
        assert 0 == len(limiter)
        return most

    assert 8 == run(crowd())


def test_first_come_first_served() -> None:
    """Within each class."""

    async def queue() -> list[int]:
        limiter, order = ProbeLimiter(4), []

        async def one(number: int) -> None:
            async with limiter.slot(slow=False):
                order.append(number)
                await asyncio.sleep(0.1)

        await asyncio.gather(*map(one, range(10)))
        return order

    assert list(range(10)) == run(queue())


def test_dead_servers_do_not_delay_others() -> None:
    """Even if there are more of them than slots, and they came first."""

    async def crowd() -> float:
        limiter = ProbeLimiter(64)
        now_s = asyncio.get_running_loop().time
        longest_s = 0.0

        async def dead() -> None:
            async with limiter.slot(slow=True):
                assert len(limiter) <= 64
                await asyncio.sleep(1)

        async def lively(at_s: float) -> None:
            nonlocal longest_s
            await asyncio.sleep(at_s)
            asked_s = now_s()
            async with limiter.slot(slow=False):
                longest_s = max(longest_s, now_s() - asked_s)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(dead() for _ in range(500)), *(lively(n / 100) for n in range(100)))
        return longest_s

    assert 0 == run(crowd())


@pytest.mark.parametrize("after_s", [0, 0.5, 1, 1.5])
def test_a_cancelled_probe_frees_its_slot(after_s: float) -> None:
    """Whether it had one, waited for one, or was just about to get one."""

    async def cancel() -> tuple[int, bool]:
        limiter = ProbeLimiter(1)

        async def one(for_s: float) -> bool:
            async with limiter.slot(slow=False):
                await asyncio.sleep(for_s)
            return True

        first, second = asyncio.create_task(one(1)), asyncio.create_task(one(1))
        await asyncio.sleep(after_s)
        second.cancel()
        await asyncio.wait([first, second])
        return len(limiter), await one(1)

    assert (0, True) == run(cancel())
