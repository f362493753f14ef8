"""The few steps between fork and exec of a supervised program. Run as a script, standard library only:

    python -I -S launch.py [signal=N parent=PID] [uid=N gid=N | namespace=UID] -- program argument...

A script of its own and not a `preexec_fn`: code between fork and exec may deadlock in a process that has threads.
It drops privileges itself because the interpreter may lie where the unprivileged user cannot execute it.
"""

import ctypes
import os
import sys

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def _enter_namespace(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    """A user namespace in which our own uid is called `uid`: whoever refuses to run as root is content, files stay ours."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"user namespace: {os.strerror(number)}")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def main(arguments: list[str]) -> None:
    """Apply the options, then become the program. Returns only by an exception."""
    split = arguments.index("--")
    options = {name: int(value) for name, _, value in (item.partition("=") for item in arguments[:split])}
    program = arguments[split + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(0o077)
    if "namespace" in options:
        os.setgroups([])
        _enter_namespace(libc, options["namespace"], options["gid"])
    elif "uid" in options:
        os.setgroups([])
        os.setgid(options["gid"])
        os.setuid(options["uid"])
    # After the change of user: the kernel forgets the death signal with every change of credentials.
    if "signal" in options and sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, options["signal"], 0, 0, 0)
        if os.getppid() != options["parent"]:
            sys.exit(1)  # the parent died before the signal was armed
    os.execv(program[0], program)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start: {error}")
