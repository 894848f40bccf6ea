"""Records of locks as other processes would have left them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dfray import storage
from dfray.storage.exclusive_file import exclusive_file
from dfray.storage.lock_holder import Holder
from dfray.storage.process_identity import start_time


def of_elsewhere(work: str = "first/0123456789ab") -> Holder:
    """A holder on another machine, of whose process nothing is known here."""
    return replace(Holder.this_process(work), machine="another", host="elsewhere")


@contextmanager
def living_process(work: str = "first/0123456789ab") -> Iterator[Holder]:
    """Another process of this machine as a holder; it is killed at the end."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        started = start_time(process.pid)
        yield replace(Holder.this_process(work), pid=process.pid, started=started or 0.0)
    finally:
        process.kill()
        process.wait()


def record_of(folder: str, holder: Holder) -> bool:
    """Write the holder's record into the lock of a folder, whoever has it; False if another was faster."""
    file = exclusive_file(storage.join(folder, "lock"))
    content = file.read()
    return file.replace(holder.to_json(), content.tag if content else None) is not None
