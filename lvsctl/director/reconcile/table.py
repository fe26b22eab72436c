"""Writes the farm's virtual services, and keeps which ones are ours."""

import errno
from collections.abc import Collection, Mapping, Sequence

from lvsctl.director.reconcile.decision import Decision
from lvsctl.director.reconcile.written import Results
from lvsctl.ipvs.interface import Ipvs
from lvsctl.ipvs.table import AddService, Operation, ServiceKey
from lvsctl.results import Failed
from lvsctl.store.interface import LocalState


class TableWriter:
    """Writes the table; belongs to the reconciler's thread.

    A key is claimed, durably, before its virtual service is added, and released once an
    observation shows that it is gone.

    Args:
        ipvs: The virtual services.
        local: Which of them are ours.
        owner_of_probes: The owner whose claims are not the farm's.
    """

    def __init__(self, ipvs: Ipvs, local: LocalState, owner_of_probes: str) -> None:
        self._ipvs = ipvs
        self._local = local
        self._claims: Mapping[ServiceKey, str] = {
            key: name for key, name in local.claims().items() if name != owner_of_probes
        }

    @property
    def claims(self) -> Mapping[ServiceKey, str]:
        """The farm's service for each of our keys; a frozen value, for any thread."""
        return self._claims

    def write(self, decision: Decision, operations: Sequence[Operation]) -> Results:
        """Carry out operations of a decision's plan.

        Raises:
            KernelError: The kernel refused everything.
            StoreError: A claim could not be made durable; nothing was added.
        """
        observed, desired = decision.observation.table, decision.desired
        self.claim(
            {
                key: owner
                for key, owner in desired.owners.items()
                if self._claims.get(key) != owner and (key in self._claims or key not in observed)
            }
        )
        results = [*zip(operations, self._ipvs.apply(operations), strict=True)]
        # Somebody else was faster: what is there now is theirs.
        theirs = [
            operation.key
            for operation, result in results
            if isinstance(operation, AddService)
            and isinstance(result, Failed)
            and result.errno == errno.EEXIST
        ]
        gone = [
            key
            for key in decision.observation.ours
            if key not in observed and key not in desired.table
        ]
        self._release([*theirs, *gone])
        return results

    def claim(self, keys: Mapping[ServiceKey, str]) -> None:
        """Make virtual services ours.

        Raises:
            StoreError: It could not be made durable; they are not ours.
        """
        if keys:
            self._local.claim(keys)
            self._claims = {**self._claims, **keys}

    def _release(self, keys: Collection[ServiceKey]) -> None:
        if keys:
            self._local.release(keys)
            claims = dict(self._claims)
            for key in keys:
                del claims[key]
            self._claims = claims
