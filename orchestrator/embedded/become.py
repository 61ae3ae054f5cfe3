"""The first moments of a child: tie its life to ours, give up root if asked, become the program.

    python -I -S become.py PARENT SIGNAL IDENTITY PROGRAM [ARGUMENT ...]

A program of its own, because code run between fork and exec in a process with threads can hang.
It imports nothing of ours and starts in 15 ms. IDENTITY is `same`, `namespace:NUMBER` for a
namespace of its own in which it has that number, or `user:NUMBER`.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, orphan_signal: int, identity: str, command: list[str]) -> None:
    kind, _, number = identity.partition(":")
    if kind == "namespace":
        enter_namespace(int(number))
    elif kind == "user":
        become_user(int(number))
    # After the change of identity, which would clear it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the process that started this one is gone")
    os.execv(command[0], command)  # noqa: S606 - a list, and no shell on purpose


def enter_namespace(uid_inside: int) -> None:
    """Have another number inside, and stay who we are to every file and process outside."""
    uid, gid = os.geteuid(), os.getegid()
    os.unshare(os.CLONE_NEWUSER)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid_inside} {uid} 1")
    write("/proc/self/gid_map", f"{uid_inside} {gid} 1")


def become_user(uid: int) -> None:
    os.setgroups([])
    os.setgid(pwd.getpwuid(uid).pw_gid)
    os.setuid(uid)


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
