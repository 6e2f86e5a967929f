"""Letting go of what dbt has opened, and looking whether it has been let go of."""

import os
import sys


def interrupt_statements():
    """Interrupts what DuckDB does for dbt."""
    from dbt.adapters.factory import FACTORY

    module = sys.modules.get("dbt.adapters.duckdb.connections")
    environment = module.DuckDBConnectionManager._ENV if module is not None else None
    for adapter in list(FACTORY.adapters.values()) if environment is not None else ():
        for connection in list(adapter.connections.thread_connections.values()):
            try:
                if connection.state == "open":
                    environment.cancel(connection)
            except Exception:
                pass  # Closed meanwhile.


def release():
    """Closes every connection of every adapter, and dbt's log; answers with the databases' paths."""
    from dbt.adapters.factory import FACTORY
    from dbt.deprecations import active_deprecations, buffered_deprecations
    from dbt_common.events.event_manager_client import get_event_manager

    databases = []
    try:
        FACTORY.reset_adapters()
        module = sys.modules.get("dbt.adapters.duckdb.connections")
        if module is not None:
            manager = module.DuckDBConnectionManager
            environment, manager._ENV = manager._ENV, None
            manager._LOGGED_MESSAGES.clear()
            if environment is not None:
                credentials = environment.creds
                databases = [credentials.path, *(one.path for one in credentials.attach or [])]
                environment.close()
    except Exception as error:  # What is open then is seen in `still_open`.
        print(f"dbmux: dbt's connections could not be closed: {error}", file=sys.stderr)
    events = get_event_manager()
    for logger in events.loggers:
        for handler in list(getattr(logger._python_logger, "handlers", [])):
            logger._python_logger.removeHandler(handler)
            handler.close()
    events.loggers.clear()
    events.callbacks.clear()
    active_deprecations.clear()
    buffered_deprecations.clear()
    return databases


def still_open(databases):
    """Files that are locked by this process, and databases that it has open."""
    locked = set()
    try:
        with open("/proc/locks") as table:
            for fields in map(str.split, table):
                if "POSIX" in fields and str(os.getpid()) in fields:
                    locked.add(int(fields[-3].split(":")[-1]))
    except OSError:
        pass  # No such table here: the open files tell.
    known = set()
    for path in databases:
        try:
            known.add(os.stat(path).st_ino)
        except (OSError, ValueError):
            pass
    found = {}
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            inode = os.fstat(int(descriptor)).st_ino
            if inode in locked or inode in known:
                found[inode] = os.readlink("/proc/self/fd/" + descriptor)
        except OSError:
            pass  # Closed meanwhile.
    return sorted(found.values()) + [f"inode {inode}" for inode in sorted(locked - set(found))]
