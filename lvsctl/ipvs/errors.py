"""Why IPVS cannot be used, and the cure: the messages that all backends share."""

NO_MODULE = "the kernel has no IPVS, as the module ip_vs is not loaded; run `modprobe ip_vs`"
NO_PRIVILEGE = (
    "the kernel's IPVS table needs CAP_NET_ADMIN, which this process lacks; "
    "run it as root or give its unit AmbientCapabilities=CAP_NET_ADMIN"
)
NO_IPVSADM = "ipvsadm is not installed; run `apt install ipvsadm`, or use `--ipvs netlink`"
