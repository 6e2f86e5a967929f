"""What dbt finds out anew for each invocation, at some cost, and comes to the same each time."""

import dataclasses
import importlib
import inspect
import os
import pkgutil
import sys


def lighten():
    """Puts these in the places of what dbt uses. Where a version of dbt has no such place, it does as it does."""
    for module, name, lighter in (
        ("dbt_common.behavior_flags", "inspect", Frames()),
        ("dbt_common.exceptions.base", "os", System()),
        ("dbt.plugins.manager", "pkgutil", Listed()),
    ):
        place = imported(module)
        if hasattr(place, name):
            setattr(place, name, lighter)
    macro = getattr(imported("dbt.contracts.graph.nodes"), "Macro", None)
    if hasattr(macro, "resource_class") and hasattr(macro, "to_resource"):
        macro.to_resource = resource_of_macro


def imported(module):
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def resource_of_macro(macro):
    """What a macro is in `manifest.json`: its own fields. dbt makes text-like values of all of them, and objects of these
    again; of the hundreds of macros that it brings along, twice in a run."""
    kind = macro.resource_class()
    return kind(**{field.name: getattr(macro, field.name) for field in dataclasses.fields(kind)})


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
            for name, is_package in pkgutil.iter_importer_modules(finder):
                yield pkgutil.ModuleInfo(finder, name, is_package)
        for folder in dict.fromkeys(sys.path):
            yield from self.modules_of(folder) if os.path.isabs(folder) else pkgutil.iter_modules([folder])

    def modules_of(self, folder):
        stamps, modules = self.listed.get(folder, ({}, []))
        if not stamps or any(changed(path) != stamp for path, stamp in stamps.items()):
            # Before it is listed: what changes meanwhile is seen the next time.
            stamps = {path: changed(path) for path in (folder, *plugins_in(folder))}
            modules = list(pkgutil.iter_modules([folder]))
            self.listed[folder] = stamps, modules
        return modules


def changed(path):
    """When something was put into a folder, or taken away. (Or when a file was changed that says it is one: an archive.)"""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def plugins_in(folder):
    """The folders in it that are plugins of dbt's, or will be when they have an `__init__.py`."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.name.startswith("dbt_") and entry.is_dir()]
    except OSError:
        return []


class System:
    """`os`, for those who read the whole environment: with each line of its log, dbt looks for secrets in it."""

    def __init__(self):
        self.environ = Environment() if hasattr(os.environ, "_data") else os.environ

    def __getattr__(self, name):
        return getattr(os, name)


class Environment:
    """`os.environ`, whose items are decoded again only when one has changed."""

    def __init__(self):
        self.kept = None, []

    def __getattr__(self, name):
        return getattr(os.environ, name)

    def items(self):
        seen, items = self.kept
        if seen != os.environ._data:
            seen, items = self.kept = dict(os.environ._data), list(os.environ.items())
        return items
