"""What a kernel may lack for IPVS, and the cure, in the words of every backend."""

NO_MODULE = "the kernel has no IPVS, as the module ip_vs is not loaded; run `modprobe ip_vs`"
NO_PRIVILEGE = (
    "the kernel's IPVS table: this process has not the capability CAP_NET_ADMIN; "
    "run it as root or give its unit AmbientCapabilities=CAP_NET_ADMIN"
)
NO_IPVSADM = "ipvsadm is not installed; run `apt install ipvsadm`, or use `--ipvs netlink`"
