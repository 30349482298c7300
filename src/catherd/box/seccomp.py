"""The system-call filter of the box: a classic BPF program, handed to bubblewrap.

Refused with EPERM: looking into other processes, kernel keyrings, bpf, perf,
userfaultfd, io_uring, mounts, namespaces, chroot, modules, kexec, file handles, the
clock, swap and reboot. Where `counted`, memory that no process is seen to hold (memfd,
SysV) is refused too.

clone3 answers ENOSYS: the C library then uses clone, whose flags a filter can read.
socket() is for UNIX, IPv4 and IPv6 only. The ioctls TIOCSTI and TIOCLINUX are refused.
A program of a foreign architecture is killed.

The numbers are those of the kernel's asm/unistd_64.h (x86_64) and
asm-generic/unistd.h (aarch64).
"""

import struct
from typing import NamedTuple

# Actions of a filter, as struct seccomp_data's `ret` takes them.
_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_EPERM = 0x00050001
_ENOSYS = 0x00050026

# Offsets in struct seccomp_data. Of an argument it is the low half, on a little-endian
# machine.
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24

_X32 = 0x40000000  # from here on the numbers are those of the x32 ABI
_NEW_NAMESPACE = 0x7E020080  # NEWNS CGROUP UTS IPC USER PID NET and NEWTIME
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

# Call: its number on x86_64 and on aarch64; None where the machine has no such call.
_REFUSED: dict[str, tuple[int, int | None]] = {
    # other processes, keyrings, the kernel's own eyes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # another kernel, modules, files by handle
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the machine itself: swap, reboot, accounting, the clock
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    # what no app needs
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "fanotify_init": (300, 262),
}
# Memory that is resident in no process that uses it.
_UNSEEN = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
}


class _Machine(NamedTuple):
    """The numbers of one machine.

    `column`: where its numbers stand in the tables above. `arch`: its AUDIT_ARCH. The
    others are the calls whose arguments the filter looks at.
    """

    column: int
    arch: int
    clone: int
    clone3: int
    ioctl: int
    socket: int


_MACHINES = {
    "x86_64": _Machine(0, 0xC000003E, clone=56, clone3=435, ioctl=16, socket=41),
    "aarch64": _Machine(1, 0xC00000B7, clone=220, clone3=435, ioctl=29, socket=198),
}


class _Instruction(NamedTuple):
    """One struct sock_filter. A jump skips that many of the instructions after it."""

    code: int
    skip_if_true: int
    skip_if_false: int
    value: int


def _load(offset: int) -> _Instruction:
    return _Instruction(0x20, 0, 0, offset)


def _if_equal(value: int, then: int, otherwise: int) -> _Instruction:
    return _Instruction(0x15, then, otherwise, value)


def _if_at_least(value: int, then: int, otherwise: int) -> _Instruction:
    return _Instruction(0x35, then, otherwise, value)


def _if_any_bit(bits: int, then: int, otherwise: int) -> _Instruction:
    return _Instruction(0x45, then, otherwise, bits)


def _answer(action: int) -> _Instruction:
    return _Instruction(0x06, 0, 0, action)


def filter_program(machine: str, *, counted: bool = True) -> bytes | None:
    """The filter for `machine`, as `platform.machine()` names it.

    It has 8 bytes an instruction. None for a machine whose numbers we do not have.
    """
    known = _MACHINES.get(machine)
    if known is None:
        return None
    # The first answer counts. Only `_check_machine` loads the call's number, so a
    # section that loads an argument answers for its call before the next section.
    code = _check_machine(known.arch)
    for number in _refused_numbers(known, counted=counted):
        code += [_if_equal(number, 0, 1), _answer(_EPERM)]

    code += [_if_equal(known.clone3, 0, 1), _answer(_ENOSYS)]
    code += _check_clone(known.clone)
    code += _check_ioctl(known.ioctl)
    code += _check_socket(known.socket)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _refused_numbers(machine: _Machine, *, counted: bool) -> list[int]:
    calls = {**_REFUSED, **_UNSEEN} if counted else _REFUSED
    numbers = {call[machine.column] for call in calls.values()}
    return sorted(number for number in numbers if number is not None)


def _check_machine(arch: int) -> list[_Instruction]:
    """Kill a foreign architecture, refuse x32, and leave the call's number loaded."""
    return [
        _load(_ARCH),
        _if_equal(arch, 1, 0),
        _answer(_KILL),
        _load(_NUMBER),
        _if_at_least(_X32, 0, 1),
        _answer(_EPERM),
    ]


def _check_clone(clone: int) -> list[_Instruction]:
    return [
        _if_equal(clone, 0, 4),
        _load(_ARGUMENT_0),
        _if_any_bit(_NEW_NAMESPACE, 0, 1),
        _answer(_EPERM),
        _answer(_ALLOW),
    ]


def _check_ioctl(ioctl: int) -> list[_Instruction]:
    return [
        _if_equal(ioctl, 0, 5),
        _load(_ARGUMENT_1),
        _if_equal(_TIOCSTI, 1, 0),
        _if_equal(_TIOCLINUX, 0, 1),
        _answer(_EPERM),
        _answer(_ALLOW),
    ]


def _check_socket(socket: int) -> list[_Instruction]:
    """Allow the families of the list; every other call that came so far is allowed."""
    unix, internet, internet_6 = _FAMILIES
    return [
        _if_equal(socket, 0, 5),
        _load(_ARGUMENT_0),
        _if_equal(unix, 3, 0),
        _if_equal(internet, 2, 0),
        _if_equal(internet_6, 1, 0),
        _answer(_EPERM),
        _answer(_ALLOW),
    ]
