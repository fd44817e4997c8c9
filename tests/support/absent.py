"""Imported first, it takes from this process what only POSIX has; programs that it starts have it."""

import multiprocessing.popen_spawn_posix
import os
import signal
import sys

import distributed  # which, like those two, chooses by the system, not by what there is
import psutil

MODULES = ("fcntl", "resource", "pwd", "grp", "termios")
OF_OS = (
    "fchmod", "fork", "geteuid", "killpg", "mkfifo", "O_NOFOLLOW", "O_NONBLOCK", "register_at_fork",
    "sched_getaffinity", "setsid",
)  # fmt: skip
OF_SIGNAL = ("pthread_sigmask", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "SIGHUP", "SIGKILL", "SIGUSR1", "setitimer")

__all__ = ["distributed", "multiprocessing", "psutil"]

for name in MODULES:
    sys.modules[name] = None
for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
