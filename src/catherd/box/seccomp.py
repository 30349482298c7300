"""The system-call filter of the box: a classic BPF program, assembled here, handed to bubblewrap by descriptor.

Refused with EPERM: looking into other processes, kernel keyrings, bpf, perf, userfaultfd, io_uring, mounts, namespaces, chroot, modules,
kexec, file handles, the clock, swap, reboot; where `counted`, also memory that no process is seen to hold (memfd, SysV). clone3 answers ENOSYS (the C library then uses clone, whose flags a filter can read).
socket() is for UNIX, IPv4 and IPv6 only; TIOCSTI and TIOCLINUX are refused. A program of a foreign architecture is killed.
Numbers: the kernel's asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

import struct

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = (
    0,
    4,
    16,
    24,
)  # offsets in struct seccomp_data; low halves on a little-endian machine
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_NEW_NAMESPACE = 0x7E020080  # NEWNS CGROUP UTS IPC USER PID NET and NEWTIME
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_TTY = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_X32 = 0x40000000

_SAME = (
    425,
    426,
    427,
    428,
    429,
    430,
    431,
    432,
    433,
    438,
    442,
    443,
)  # io_uring, new mount calls, pidfd_getfd
_X86_64 = (
    *(
        101,
        310,
        311,
        312,
        248,
        249,
        250,
        321,
        298,
        323,
    ),  # ptrace process_vm_* kcmp keys bpf perf userfaultfd
    *(165, 166, 155, 161, 272, 308),  # mount umount2 pivot_root chroot unshare setns
    *(246, 320, 175, 313, 176, 303, 304),  # kexec, modules, file handles
    *(
        167,
        168,
        169,
        103,
        163,
        179,
        164,
        227,
        305,
        159,
    ),  # swap reboot syslog acct quotactl clocks
    *(
        172,
        173,
        212,
        180,
        153,
        170,
        171,
        300,
        154,
    ),  # iopl ioperm dcookie nfsservctl vhangup names fanotify modify_ldt
)
_AARCH64 = (
    *(117, 270, 271, 272, 217, 218, 219, 280, 241, 282),
    *(40, 39, 41, 51, 97, 268),
    *(104, 294, 105, 273, 106, 264, 265),
    *(224, 225, 142, 116, 89, 60, 170, 112, 266, 171),
    *(18, 42, 58, 161, 162, 262),
)
# machine: (AUDIT_ARCH, refused, memfd_create memfd_secret shmget, clone, clone3, ioctl, socket)
_MACHINES = {
    "x86_64": (0xC000003E, _X86_64, (319, 447, 29), 56, 435, 16, 41),
    "aarch64": (0xC00000B7, _AARCH64, (279, 447, 194), 220, 435, 29, 198),
}


def filter_program(machine: str, *, counted: bool = True) -> bytes | None:
    """The filter for `machine` (as `platform.machine()` says it), 8 bytes an instruction; None where we have no numbers."""
    if machine not in _MACHINES:
        return None
    arch, refused, unseen, clone, clone3, ioctl, socket = _MACHINES[machine]
    code: list[tuple[int, int, int, int]] = [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, arch),
        (_RET, 0, 0, _KILL),
        (_LD, 0, 0, _NR),
        (_JGE, 0, 1, _X32),
        (_RET, 0, 0, _EPERM),
    ]
    for number in sorted({*refused, *_SAME, *(unseen if counted else ())}):
        code += [(_JEQ, 0, 1, number), (_RET, 0, 0, _EPERM)]
    code += [(_JEQ, 0, 1, clone3), (_RET, 0, 0, _ENOSYS)]
    code += [
        (_JEQ, 0, 4, clone),
        (_LD, 0, 0, _ARG0),
        (_JSET, 0, 1, _NEW_NAMESPACE),
        (_RET, 0, 0, _EPERM),
        (_RET, 0, 0, _ALLOW),
    ]
    code += [
        (_JEQ, 0, 5, ioctl),
        (_LD, 0, 0, _ARG1),
        (_JEQ, 1, 0, _TTY[0]),
        (_JEQ, 0, 1, _TTY[1]),
        (_RET, 0, 0, _EPERM),
    ]
    code += [(_RET, 0, 0, _ALLOW)]
    code += [(_JEQ, 0, 5, socket), (_LD, 0, 0, _ARG0)]
    code += [(_JEQ, 3 - i, 0, family) for i, family in enumerate(_FAMILIES)]
    code += [(_RET, 0, 0, _EPERM), (_RET, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
