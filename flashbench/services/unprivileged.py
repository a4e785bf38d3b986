"""Running Postgres for a user who is root, since Postgres refuses to be.

The child becomes ``nobody``, but keeps one ambient capability, CAP_DAC_OVERRIDE, so that it can reach binaries and data
below folders that only root may enter (a checkout below /root, a 0700 temporary folder). SECBIT_NO_SETUID_FIXUP keeps
the kernel from clearing that capability at the change of user and, in access(2), for a real user other than root.
See capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def dies_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """For ``preexec_fn``: the kernel sends the signal when the process that started this one ends."""

    def before_exec() -> None:
        _check(_libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0))

    return before_exec


def postgres_child(with_signal: signal.Signals = signal.SIGQUIT) -> Callable[[], None]:
    """For ``preexec_fn``: as ``dies_with_parent``, and not root."""
    account = _account()

    def before_exec() -> None:
        if account is not None:
            _become(account)
        _check(_libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0))  # a change of user clears it: so last

    return before_exec


def give_away(folder: Path) -> None:
    """Make ``folder`` belong to the user whom Postgres runs as."""
    account = _account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd | None:
    """Who Postgres runs as, if that is not who we are."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _become(account: pwd.struct_passwd) -> None:
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    only = 1 << _CAP_DAC_OVERRIDE
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(only, only, only), _Sets(0, 0, 0))
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)))
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
