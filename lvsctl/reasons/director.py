"""What is wrong with a director itself."""

from lvsctl.reasons.reason import ReasonKind

FIRST_CYCLE = ReasonKind(
    "first-cycle-pending",
    "the first cycle has not ended yet",
    "The director has started and has not compared its kernel with the farm yet.",
    "Wait; where it lasts, see the journal: `journalctl -u lvsctl-director`.",
)
CYCLE_OVERDUE = ReasonKind(
    "cycle-overdue",
    "the last cycle ended {age_s} s ago",
    "The reconciler hangs; what serves goes on serving, and nothing is repaired.",
    "See the journal, then restart the director: its kernel stays as it is.",
)
DISK_FULL = ReasonKind(
    "disk-full",
    "{subject}: {free_kib} KiB are free, {needed_kib} are needed; see what fills the disk: "
    "du -xh {subject} | sort -h",
    "There is no room for a large write and its journal.",
    "Make room.",
)
NO_INODE = ReasonKind(
    "no-inode",
    "{subject}: the file system has no inode free; see where files pile up: df -i",
    "The file system can hold no further file.",
    "Remove files.",
)
STATE_FOLDER_LOST = ReasonKind(
    "state-folder-lost",
    "{subject}: {error}; the director needs its state folder back as it was",
    "The state folder cannot be read.",
    "Mount it, or restore it from a backup.",
)
LOCAL_STATE_LOST = ReasonKind(
    "local-state-lost",
    "{error}",
    "This director's own disk state cannot be used, so it does not know which services are its "
    "own, and only observes.",
    "The text says how to begin anew and adopt what stands in the kernel.",
)
ACCESS_UNSAFE = ReasonKind(
    "access-problem",
    "{error}",
    "The director's credentials are not as they should be.",
    "The text names the file or the command.",
)
ONLY_PLANNED = ReasonKind(
    "only-planned",
    "only looked at",
    "A plan was asked for; nothing is written for it.",
    "None needed.",
)
EVENTS_LOST = ReasonKind(
    "events-lost",
    "{error}",
    "The history of events could not be used, or is in memory alone.",
    "Nothing else depends on it; the text says where the old file is.",
)
