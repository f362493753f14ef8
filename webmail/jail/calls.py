"""The last wall: the few system calls that a job needs, by number; all others answer "not permitted" (seccomp, Linux).

No descriptor to be had keeps a job from opening anything, but not from calls that name a path (unlink, rename, chmod), nor from
signals to whatever runs as the same user. Here these do not exist. Where the system or the processor knows no such filter there
is none, and the other walls stand alone.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Final

# read write close fstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 readv writev select
# sched_yield mremap madvise nanosleep getitimer alarm setitimer getpid sendto recvfrom shutdown exit uname gettimeofday getrlimit
# getrusage sysinfo times getuid getgid geteuid getegid getppid sigaltstack gettid time futex sched_getaffinity restart_syscall
# clock_gettime clock_getres clock_nanosleep exit_group pselect6 ppoll set_robust_list getcpu getrandom membarrier rseq; and for
# imports in vain, which must fail as anywhere: stat lstat newfstatat getcwd
_X86_64: Final = (
    0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 23, 24, 25, 28, 35, 36, 37, 38, 39, 44, 45, 48, 60, 63, 79, 96,
    97, 98, 99, 100, 102, 104, 107, 108, 110, 131, 186, 201, 202, 204, 219, 228, 229, 230, 231, 262, 270, 271, 273, 309, 318, 324,
    334,
)  # fmt: skip
# The same; without poll, select, alarm, time, stat and lstat, which are not there.
_AARCH64: Final = (
    17, 57, 62, 63, 64, 65, 66, 67, 72, 73, 79, 80, 93, 94, 98, 99, 101, 102, 103, 113, 114, 115, 123, 124, 128, 132, 134, 135,
    139, 153, 160, 163, 165, 168, 169, 172, 173, 174, 175, 176, 177, 178, 179, 206, 207, 210, 214, 215, 216, 222, 226, 233, 278,
    283, 293,
)  # fmt: skip
# By machine: its AUDIT_ARCH number, the calls, and kill and tgkill, which a job may aim at itself: abort() does.
_MACHINES: Final = {"x86_64": (0xC000003E, _X86_64, (62, 234)), "aarch64": (0xC00000B7, _AARCH64, (129, 131))}

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD+W+ABS, BPF_JMP+JEQ+K, BPF_RET+K
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # the latter with EPERM
_PR_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine() -> None:
    """In a child, as its last preparation: from here on only these calls."""
    known = _MACHINES.get(os.uname().machine) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None
    if known is None:
        return
    code = _code(*known, os.getpid())
    program = _Program(len(code) // 8, code)
    ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def _code(architecture: int, calls: tuple[int, ...], signals: tuple[int, ...], pid: int) -> bytes:
    """The filter as struct sock_filter: operation, jump if true, jump if false, operand."""
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE)]
    steps.append((_LOAD, 0, 0, _NUMBER))
    for call in calls:
        steps += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    for call in signals:
        aimed = [(_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 0, 1, pid), (_RETURN, 0, 0, _ALLOW)]
        steps += [(_EQUAL, 0, len(aimed) + 1, call), *aimed, (_RETURN, 0, 0, _REFUSE)]
    steps.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
