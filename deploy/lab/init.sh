#!/bin/sh
# The first process of a lab guest. The kernel command line gives it LAB_STATE, the launcher's folder
# for this guest: init (this file), job (what to run), folders (the checkout's and Python's), out (the
# only path of the host that it writes).
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

halt() {
    sync
    echo o >/proc/sysrq-trigger
    while :; do sleep 60; done
}

put_overlay_over_root() {
    mount -t proc proc /proc
    mount -t tmpfs -o mode=755 overlay /tmp
    insmod "/usr/lib/uml/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko"
    mkdir /tmp/upper /tmp/work /tmp/root
    mount -t overlay -o lowerdir=/,upperdir=/tmp/upper,workdir=/tmp/work root /tmp/root
    mkdir -p /tmp/root/mnt /tmp/root/out
    cd /tmp/root
    pivot_root . mnt
    exec chroot . "$LAB_STATE/init" second_stage
}

mount_system_folders() {
    umount -l /mnt
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t tmpfs -o mode=755 dev /dev
    mknod -m 666 /dev/null c 1 3
    mknod -m 666 /dev/zero c 1 5
    mknod -m 666 /dev/full c 1 7
    mknod -m 666 /dev/random c 1 8
    mknod -m 666 /dev/urandom c 1 9
    mknod -m 666 /dev/tty c 5 0
    mknod -m 600 /dev/console c 5 1
    mknod -m 600 /dev/tty1 c 4 1
    mknod -m 600 /dev/tty2 c 4 2
    mkdir /dev/pts /dev/shm /dev/net
    mknod -m 666 /dev/net/tun c 10 200
    ln -s pts/ptmx /dev/ptmx
    ln -s /proc/self/fd /dev/fd
    ln -s fd/0 /dev/stdin
    ln -s fd/1 /dev/stdout
    ln -s fd/2 /dev/stderr
    mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs -o mode=755 run /run
    mkdir /run/netns /run/lock
    mkdir -p /lib/modules
    ln -sfn "/usr/lib/uml/modules/$(uname -r)" "/lib/modules/$(uname -r)"
    mount -t hostfs -o "$LAB_STATE/out" out /out
    # What is written to /out is on the host within a second, for whoever reads along, or finds it after a halt.
    echo 50 >/proc/sys/vm/dirty_writeback_centisecs
    echo 50 >/proc/sys/vm/dirty_expire_centisecs
}

# A checkout in a home of mode 0700 would be closed to jobs that give up root's rights. Here the files
# are the guest's own copy.
let_everybody_in() {
    while read -r folder; do
        while [ -n "$folder" ]; do
            set -- "$@" "$folder"
            folder=${folder%/*}
        done
    done <"$LAB_STATE/folders"
    chmod a+x "$@"
}

run_job() {
    status=0
    if [ -n "${LAB_TERMINAL:-}" ]; then
        setsid -c sh "$LAB_STATE/job" </dev/tty1 >/dev/tty1 2>&1 || status=$?
    else
        # One for the output and one for the errors, and no carriage returns in them.
        stty -opost </dev/tty1
        stty -opost </dev/tty2
        setsid sh "$LAB_STATE/job" </dev/null >/dev/tty1 2>/dev/tty2 || status=$?
    fi
    echo "$status" >/out/rc
}

case "${1:-}" in
second_stage)
    mount_system_folders
    hostname lab
    ip link set lo up
    let_everybody_in
    run_job
    halt
    ;;
*) put_overlay_over_root ;;
esac
