"""Sweeps the kernel's table: what is as the last sweep found it is not decoded again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lvsctl.ipvs.codec.destination import COUNTERS_OF_DESTINATION, parse_destination
from lvsctl.ipvs.codec.requests import destinations_request, services_request
from lvsctl.ipvs.codec.service import COUNTERS_OF_SERVICE, parse_service
from lvsctl.ipvs.dumps import dump_until_agreed
from lvsctl.ipvs.interface import Sweep
from lvsctl.ipvs.table import ServiceKey, VirtualService, VirtualServiceConfig
from lvsctl.netlink.comparison import Comparison
from lvsctl.netlink.genetlink import GenericNetlinkSocket


@dataclass(frozen=True, slots=True)
class _Known:
    """A service as the last sweep found it, with what its destinations were decoded from."""

    service: VirtualService
    dump: Comparison


class NetlinkSweeps:
    """The sweeps of one socket.

    Each service's destinations are dumped every time; a dump that says the same as the last one,
    but for counters, is not decoded. Decoding is what takes the time.

    Args:
        socket: Of the family ``IPVS``; used by nobody else while :meth:`begin` or the next service
            is under way.
    """

    def __init__(self, socket: GenericNetlinkSocket) -> None:
        self._socket = socket
        self._listing: tuple[Comparison, dict[ServiceKey, VirtualServiceConfig]] | None = None
        self._known: dict[ServiceKey, _Known] = {}

    def begin(self) -> Sweep:
        """List all virtual services; their destinations are read one service at a time.

        Raises:
            KernelError: They could not be read.
        """
        listed = self._listed()
        for key in self._known.keys() - listed.keys():
            del self._known[key]
        return Sweep(listed, self._services(listed))

    def _listed(self) -> dict[ServiceKey, VirtualServiceConfig]:
        request = services_request()
        if self._listing and self._listing[0].matches(self._socket.dump_datagrams(request)):
            return self._listing[1]
        found, datagrams = dump_until_agreed(self._socket, request, parse_service)
        self._listing = Comparison(datagrams, COUNTERS_OF_SERVICE), found
        return found

    def _services(
        self, listed: Mapping[ServiceKey, VirtualServiceConfig]
    ) -> Iterator[tuple[ServiceKey, VirtualService]]:
        for key, config in listed.items():
            yield key, self._service(key, config)

    def _service(self, key: ServiceKey, config: VirtualServiceConfig) -> VirtualService:
        request = destinations_request(key)
        known = self._known.get(key)
        if known and known.dump.matches(self._socket.dump_datagrams(request)):
            if known.service.config == config:
                return known.service
            service = VirtualService(config, known.service.destinations)
            self._known[key] = _Known(service, known.dump)
            return service
        destinations, datagrams = dump_until_agreed(self._socket, request, parse_destination)
        service = VirtualService(config, destinations)
        self._known[key] = _Known(service, Comparison(datagrams, COUNTERS_OF_DESTINATION))
        return service
