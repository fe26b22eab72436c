"""The switch: a node whose bridges join the other nodes."""

from deploy.lab.node import Node


class Switch(Node):
    """A node with a bridge for each link of the network."""

    def add_bridge(self, name: str) -> None:
        """Create a bridge that is up."""
        self._rtnetlink.add_bridge(name)

    def plug_in(self, node: Node, device: str, bridge: str) -> None:
        """Create a device of another node, plugged into a bridge of this one; both ends are up."""
        port = f"{node.name}-{device}"
        self._rtnetlink.add_veth(port, bridge, device, node.namespace_fd)
        node.set_link(device, up=True)
