"""Why something failed or was refused, where an error has no finer reason: one for each class."""

from lvsctl.reasons.reason import ReasonKind

_JOURNAL = "See the journal: `journalctl -u lvsctl-director`."

FAILED = ReasonKind(
    "failed",
    "{error}",
    "An error without a class of its own.",
    _JOURNAL,
)
INVALID_INPUT = ReasonKind(
    "invalid-input",
    "{error}",
    "The document breaks rules; nothing was stored.",
    "`errors` lists each field with what is allowed.",
)
NOT_FOUND = ReasonKind(
    "not-found",
    "{error}",
    "The named object does not exist.",
    "List what there is: `lvsctl service list`, `pool list`, `agent list`.",
)
CONFLICTING = ReasonKind(
    "conflicting",
    "{error}",
    "The request is valid, but the current state forbids it.",
    "The text says what stands in the way.",
)
TOO_MANY_REQUESTS = ReasonKind(
    "too-many-requests",
    "{error}",
    "An agent asks for changes more often than it needs to.",
    "Wait as long as `Retry-After` says; if the agent does it again, look into its host.",
)
STALE_REVISION = ReasonKind(
    "stale-revision",
    "{error}",
    "The object is no longer at the revision of If-Match: somebody else wrote it first.",
    "Read it again, and repeat the change.",
)
DRASTIC_CHANGE = ReasonKind(
    "drastic-change",
    "{error}; to do it anyway, repeat the request with force=true",
    "The change would remove most of the farm, or is one that cannot be taken back.",
    "Read the plan. Repeat it with `--force` (REST: `force=true`) if it is meant.",
    at_terminal="{error}; to do it anyway, repeat the command with --force",
)
OUTSIDE_FAILED = ReasonKind(
    "boundary-failed",
    "{error}",
    "Something outside this process failed.",
    _JOURNAL,
)
KERNEL_REFUSED = ReasonKind(
    "kernel-refused",
    "{error}",
    "The kernel refused a whole request.",
    "The text has the kernel's error.",
)
KERNEL_LACKS = ReasonKind(
    "kernel-lacks",
    "{error}",
    "A kernel module or a privilege is missing.",
    "`modprobe ip_vs`; run the director by its unit, or as root.",
)
KERNEL_NOT_UNDERSTOOD = ReasonKind(
    "kernel-not-understood",
    "{error}",
    "The kernel's answer could not be parsed.",
    "Report it with the kernel's version: `uname -r`.",
)
STORE_BUSY = ReasonKind(
    "store-busy",
    "{error}",
    "Other commits came first, several times in a row.",
    "Repeat the request.",
)
STORE_FAILED = ReasonKind(
    "store-failed",
    "{error}",
    "The disk or the database refused a write; nothing was stored.",
    "See whether the disk is full: `df -h`, `df -i`.",
)
STORE_NOT_CONTINUED = ReasonKind(
    "store-not-continued",
    "{error}",
    "The store's contents do not continue the farm that was applied last.",
    "The text names the command that decides which farm is the right one.",
)
STORE_IN_USE = ReasonKind(
    "store-in-use",
    "{error}",
    "Another process holds the database file.",
    "Stop the other director: `systemctl status lvsctl-director`.",
)
STORE_BEHIND = ReasonKind(
    "store-behind",
    "{error}",
    "The store lost commits that it had acknowledged, and takes no new ones.",
    "The text names the command that decides.",
)
STORE_CORRUPT = ReasonKind(
    "store-corrupt",
    "{error}",
    "The database file is damaged.",
    "The text says which file to restore or move aside.",
)
STORE_UNAVAILABLE = ReasonKind(
    "store-unavailable",
    "{error}",
    "Too few members of the etcd that holds the farm answer.",
    "See the cluster: `etcdctl endpoint health --cluster`.",
)
STORE_REFUSED = ReasonKind(
    "store-refused",
    "{error}",
    "The etcd that holds the farm refuses a request.",
    "See the text: credentials, quota or version.",
)
STORE_TOO_NEW = ReasonKind(
    "store-too-new",
    "{error}",
    "A newer lvsctl wrote the file.",
    "Install that version again.",
)
OUTCOME_UNKNOWN = ReasonKind(
    "outcome-unknown",
    "{error}",
    "The disk failed during a commit: it may be stored or not.",
    "Read the object, and repeat the change where it is not there.",
)
DIRECTOR_UNREACHABLE = ReasonKind(
    "director-unreachable",
    "{error}",
    "No director answered.",
    "See whether it runs: `systemctl status lvsctl-director`; give its address with `--url`.",
)
WRONG_CONFIGURATION = ReasonKind(
    "wrong-configuration",
    "{error}",
    "A flag, an environment variable or a configuration file is wrong.",
    "The text names it.",
)
