#!/bin/sh
# A file system in memory, for figures that do not depend on what a disk remembers.
#
#     memory_disk.sh make FILE FOLDER GIGABYTES
#     memory_disk.sh remove FILE FOLDER
#
# FILE has to be on a tmpfs (/dev/shm on Linux), FOLDER is where to mount it. It needs
# root. As the file is written through once, a build never waits for memory that a
# virtual machine was not given before; nothing discards blocks, so it stays so. The
# archives of 200 synsets and a dataset made of them take 10 GB.
set -eu

case "$1" in
  make)
    head -c "${4}G" /dev/zero > "$2"
    mkfs.ext4 -q -F -m 0 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$2"
    mkdir -p "$3"
    mount -o loop "$2" "$3"
    ;;
  remove)
    umount "$3"
    rm "$2"
    ;;
  *)
    echo "memory_disk.sh makes or removes, not $1" >&2
    exit 2
    ;;
esac
