"""What dbt finds out anew for each invocation, at some cost, and comes to the same each time."""

import importlib
import inspect
import os
import pkgutil
import sys


def lighten():
    """Puts these in the places of what dbt uses. Where a version of dbt has no such place, it does as it does."""
    for module, name, lighter in (
        ("dbt_common.behavior_flags", "inspect", Frames()),
        ("dbt.plugins.manager", "pkgutil", Listed()),
    ):
        try:
            place = importlib.import_module(module)
        except ImportError:
            continue
        if hasattr(place, name):
            setattr(place, name, lighter)


class Frames:
    """`inspect`, with a `stack` that reads no sources.

    dbt asks of which module the nearest frame is, once for each behaviour flag of an adapter; `inspect` would look up the
    line of source of every frame on the stack, for each.
    """

    def __getattr__(self, name):
        return getattr(inspect, name)

    def stack(self):
        frame, found = inspect.currentframe().f_back, []
        while frame is not None:
            found.append((frame,))
            frame = frame.f_back
        return found


class Listed:
    """`pkgutil`, with an `iter_modules` that lists again only what has changed: dbt looks for its plugins among all."""

    def __init__(self):
        self.listed = {}

    def __getattr__(self, name):
        return getattr(pkgutil, name)

    def iter_modules(self):
        for finder in sys.meta_path:
            yield from pkgutil.iter_importer_modules(finder)
        for folder in dict.fromkeys(sys.path):
            yield from self.modules_of(folder) if os.path.isabs(folder) else pkgutil.iter_modules([folder])

    def modules_of(self, folder):
        """A folder is changed by what is put into it, or taken away. (Or a file that says it is one: an archive.)"""
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            changed = None
        known = self.listed.get(folder)
        if known is None or known[0] != changed:
            known = self.listed[folder] = changed, list(pkgutil.iter_modules([folder]))
        return known[1]
