"""Keeps dbt imported, and runs what it is asked to, one request at a time.

It talks with its host in lines of JSON over a socket, which it gets as its standard input and takes away from there: dbt,
what dbt starts, and whatever prints, can do with standard input, output and error what they like. What they write there is
caught and sent as it comes. See `protocol.rs` for the messages.

What always holds:
- After a request nothing that dbt opened is open any more: no database, no log. It looks, and tells what is left.
- A request runs in the main thread, for Python takes signals there only: cancelling is a Ctrl-C, to dbt as to us.
- When the host is gone (the socket's end is seen), what runs is cancelled as by Ctrl-C, and the process ends.
"""

import faulthandler
import gc
import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import time

# How long dbt may take to stop after its host is gone, before the process ends without it, in seconds.
LAST_PATIENCE = 30
# How often the statements of a cancelled request are interrupted, in seconds.
INSISTS = 0.5
# What dbt imports only when it is needed: done while nobody waits.
LATER = ["dbt.task." + name for name in ("build", "run", "test", "list", "compile", "show", "seed", "snapshot")]


class Channel:
    """The socket to the host."""

    def __init__(self, connection):
        self.connection = connection
        self.lock = threading.Lock()
        self.buffer = b""
        self.descriptors = []

    def send(self, **message):
        line = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        try:
            with self.lock:
                self.connection.sendall(line)
        except OSError:
            pass  # The host is gone: the reading side sees it too, and acts.

    def receive(self):
        """The next request, with the descriptors that came with it; None: the host is gone."""
        while b"\n" not in self.buffer:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.connection, 1 << 16, 64, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                return None
            self.descriptors += descriptors
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        request = json.loads(line)
        count = request.get("descriptors", 0)
        request["descriptors"], self.descriptors = self.descriptors[:count], self.descriptors[count:]
        return request


class Printed:
    """A stream in the place of `sys.stdout` or `sys.stderr`: what is written to it goes to the host at once."""

    encoding, errors, newlines, line_buffering = "utf-8", "replace", None, True
    closed = False

    def __init__(self, outputs, name, descriptor):
        self.outputs, self.name, self.descriptor = outputs, name, descriptor
        self.buffer = self

    def write(self, text):
        if isinstance(text, (bytes, bytearray, memoryview)):
            self.outputs.send(self.name, bytes(text).decode("utf-8", "replace"))
        else:
            self.outputs.send(self.name, text)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def readable(self):
        return False

    seekable = readable

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor


class Logged:
    """The stream that dbt's console log writes to: its lines wait for the event that they tell of, in the same thread."""

    def __init__(self):
        self.lines = threading.local()

    def write(self, text):
        self.lines.text = getattr(self.lines, "text", "") + text
        return len(text)

    def flush(self):
        pass

    def take(self):
        text = getattr(self.lines, "text", "")
        self.lines.text = ""
        return text or None


class Outputs:
    """Everything that is printed while a request runs, by Python or underneath it."""

    MARK = b"\0dbmux: all of it\0"

    def __init__(self, channel):
        self.channel = channel
        self.request = None
        self.pipes = []
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            read, write = os.pipe()
            os.dup2(write, descriptor)
            os.close(write)
            seen = threading.Event()
            self.pipes.append((descriptor, seen))
            threading.Thread(target=self.relay, args=(read, name, seen), daemon=True).start()
            setattr(sys, name, Printed(self, name, descriptor))

    def send(self, stream, text):
        if text and self.request is not None:
            self.channel.send(id=self.request, output=text, stream=stream)

    def relay(self, read, name, seen):
        """Sends on what is written below Python: by DuckDB, or a program that dbt runs."""
        held = b""
        while data := os.read(read, 1 << 16):
            held += data
            while self.MARK in held:
                before, held = held.split(self.MARK, 1)
                self.send(name, before.decode("utf-8", "replace"))
                seen.set()
            line = held.rfind(b"\n") + 1
            self.send(name, held[:line].decode("utf-8", "replace"))
            held = held[line:]

    def drain(self):
        """Returns when everything that was written has been sent."""
        for descriptor, seen in self.pipes:
            seen.clear()
            os.write(descriptor, self.MARK)
            seen.wait()


class Bridge:
    def __init__(self, channel, outputs, original_error):
        self.channel, self.outputs = channel, outputs
        self.logged = Logged()
        self.requests = queue.Queue()
        self.cancelled = set()
        self.interruptible = False
        self.current = None
        self.orphaned = False
        self.served = 0
        self.kept = None
        signal.signal(signal.SIGINT, self.interrupted)
        faulthandler.enable(original_error)

    # Starting.

    def import_dbt(self, adapter):
        from dbt.cli import main, requires
        from dbt_common.events import functions
        import dbt.version

        self.cli = main.cli
        functions.capture_stdout_logs(self.logged)
        self.setup_manifest, requires.setup_manifest = requires.setup_manifest, self.with_kept_manifest
        if adapter:
            importlib.import_module("dbt.adapters." + adapter)
        self.paths = list(sys.path)
        self.modules = set(sys.modules)
        return str(dbt.version.installed.to_version_string(skip_matcher=True))

    def settle(self):
        """What need not be done before the first request, done while there is none."""
        for module in LATER:
            if not self.requests.empty():
                return
            try:
                importlib.import_module(module)
            except ImportError:
                pass  # Another version's layout: then dbt imports what it needs when it needs it.
        # What was imported stays for ever: no collection need look at it.
        gc.collect()
        gc.freeze()
        self.modules |= set(sys.modules)

    # The host's side.

    def listen(self):
        while (request := self.channel.receive()) is not None:
            if request["do"] == "cancel":
                self.cancel(request["id"])
            else:
                self.requests.put(request)
        self.orphaned = True
        self.requests.put(None)
        if self.current is not None:
            self.cancel(self.current)
            time.sleep(LAST_PATIENCE)
            os._exit(1)

    def cancel(self, request):
        self.cancelled.add(request)
        if self.current == request:
            # To that thread, so that what it waits for is interrupted.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            threading.Thread(target=self.insist, args=(request,), daemon=True).start()

    def insist(self, request):
        """dbt interrupts what runs once, and waits for it: a statement that began just afterwards would run to its end."""
        time.sleep(INSISTS)
        while self.current == request:
            interrupt_statements()
            time.sleep(INSISTS)

    def interrupted(self, *_):
        if self.interruptible:
            raise KeyboardInterrupt

    def serve(self, idle):
        while not self.orphaned:
            try:
                request = self.requests.get(timeout=idle)
            except queue.Empty:
                self.channel.send(bye="idle")
                return
            if request is None:
                return
            self.answer(request)
            if self.requests.empty():
                gc.collect()

    def answer(self, request):
        self.current = self.outputs.request = request["id"]
        self.channel.send(id=request["id"], started=True)
        began = time.perf_counter()
        answer = {}
        try:
            self.enter(request)
            answer = getattr(self, "do_" + request["do"])(request)
        except BaseException as error:  # Whatever it is, the host hears of it, and the next request is served.
            answer = {"exit_code": 2, "error": f"{type(error).__name__}: {error}"}
        finally:
            held = self.leave()
            self.outputs.drain()
            for descriptor in request["descriptors"]:
                os.close(descriptor)
            self.served += 1
            self.channel.send(
                id=request["id"], done=answer, held=held, served=self.served, memory=resident_bytes(),
                seconds=time.perf_counter() - began,
            )
            self.current = self.outputs.request = None

    def enter(self, request):
        for name, value in request.get("variables", {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        os.chdir(request["directory"])
        sys.argv = ["dbt", *request["arguments"]]

    # Requests.

    def do_invoke(self, request):
        results = {}
        code, value, error = self.run_dbt(request, results)
        for result in getattr(value, "results", None) or []:
            if (node := getattr(result, "node", None)) is not None:
                results[node.unique_id] = told(result, node.unique_id)
        return {"exit_code": code, "results": list(results.values()), "error": error}

    def do_list(self, request):
        """Which nodes a command would run: everything is done as for running them, up to the first of them."""
        from dbt.task.runnable import GraphRunnableTask

        class Chosen(list):
            nodes = []

        def choose(task):
            task._runtime_initialize()
            chosen = Chosen()
            chosen.nodes = sorted(task.job_queue.get_selected_nodes())
            return chosen

        run, GraphRunnableTask.run = GraphRunnableTask.run, choose
        try:
            code, value, error = self.run_dbt(request, {}, keep=True)
        finally:
            GraphRunnableTask.run = run
        if isinstance(value, Chosen):
            return {"exit_code": code, "nodes": value.nodes, "error": error}
        return {"exit_code": code or 2, "nodes": [], "error": error or "this command runs no nodes"}

    def do_profile(self, request):
        """The profile as dbt itself reads it, for a command with its arguments."""
        from dbt.cli.flags import Flags, args_to_context
        from dbt.config.profile import read_profile
        from dbt.config.runtime import load_profile
        from dbt.flags import set_flags
        from dbt_common.clients.system import get_env
        from dbt_common.context import get_invocation_context, set_invocation_context

        set_invocation_context({})
        get_invocation_context()._env = get_env()
        flags = Flags(args_to_context(list(request["arguments"])))
        set_flags(flags)
        profile = load_profile(flags.PROJECT_DIR, flags.VARS, flags.PROFILE, flags.TARGET, None)
        raw = read_profile(flags.PROFILES_DIR)[profile.profile_name]["outputs"][profile.target_name]
        credentials = profile.credentials
        attached = [
            {"path": one.path, "type": one.type or (one.options or {}).get("type")}
            for one in getattr(credentials, "attach", None) or []
        ]
        return {
            "exit_code": 0,
            "profile": {
                "name": profile.profile_name,
                "target": profile.target_name,
                "adapter": credentials.type,
                "threads": profile.threads if "threads" in raw else None,
                "path": getattr(credentials, "path", None) if credentials.type == "duckdb" else None,
                "remote": getattr(credentials, "remote", None) is not None,
                "attach": attached if credentials.type == "duckdb" else [],
                "directory": str(flags.PROFILES_DIR),
            },
        }

    # dbt.

    def run_dbt(self, request, results, keep=False):
        """Does what the program `dbt` does with these arguments: its exit code, what it returned, what it stumbled on."""
        import click

        if request["id"] in self.cancelled:
            return 2, None, "cancelled before it began"
        arguments = list(request["arguments"])
        shared = {"callbacks": [lambda event: self.tell(event, results)], "dbt_runner_command_args": list(arguments)}
        self.may_keep = keep or request.get("keep_manifest", False)
        code, value, error = 2, None, None
        try:
            try:
                self.interruptible = True
                value = self.cli.main(args=arguments, prog_name="dbt", standalone_mode=False, obj=shared)
                # What click makes of an exit without an exception (`--version`, `--help`) is its code.
                code, value = (value, None) if isinstance(value, int) else (0, value[0] if value else None)
            finally:
                self.interruptible = False
        except click.ClickException as stopped:
            stopped.show()
            code, value = stopped.exit_code, getattr(stopped, "result", None)
            error = getattr(stopped, "exception", None)
        except (KeyboardInterrupt, EOFError, click.Abort):
            print("\nAborted!", file=sys.stderr)
            code, error = 1, "cancelled"
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        return code, value, None if error is None else f"{type(error).__name__}: {error}".rstrip(": ")

    def tell(self, event, results):
        info, data = event.info, event.data
        text = self.logged.take()
        if info.name == "NodeFinished":
            result, node = data.run_result, data.node_info.unique_id
            results[node] = {
                "unique_id": node, "status": result.status, "execution_time": result.execution_time,
                "message": scrubbed(result.message), "failures": result.num_failures or None, "rows_affected": None,
            }
        elif text is None and info.name != "NodeStart":
            return
        self.channel.send(
            id=self.outputs.request, event=info.name, level=info.level, message=scrubbed(info.msg), text=text,
            node=node_of(data), thread=info.thread, result=results.get(node_of(data)) if info.name == "NodeFinished" else None,
        )

    def with_kept_manifest(self, context, *arguments, **named):
        """Gives dbt the manifest of the last parse, where nothing that it was made of has changed."""
        config, flags = context.obj["runtime_config"], context.obj["flags"]
        asked = manifest_key(config, flags)
        usable = self.may_keep and context.obj.get("manifest") is None and getattr(flags, "PARTIAL_PARSE", True)
        if usable and self.kept is not None and self.kept[:2] == (asked, stamp(config)):
            context.obj["manifest"] = self.kept[2]
        else:
            # Taken before it is read: what changes meanwhile is read again.
            before = stamp(config)
            self.kept = None
            self.setup_manifest(context, *arguments, **named)
            self.kept = (asked, before, context.obj["manifest"])
            return
        self.setup_manifest(context, *arguments, **named)

    # Afterwards.

    def leave(self):
        """Lets go of everything; answers with what is still open."""
        self.outputs.send("stdout", self.logged.take())
        databases = release()
        sys.path[:] = self.paths
        # A project's own Python, which may change before the next request.
        for name in set(sys.modules) - self.modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file and not file.startswith(tuple(path for path in self.paths if path)):
                del sys.modules[name]
        os.chdir("/")
        return still_open(databases)


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


def manifest_key(config, flags):
    """What a manifest depends on beside files."""
    return json.dumps(
        [
            config.project_root, config.profile_name, config.target_name, config.cli_vars, config.args.which in ("parse",),
            str(config.credentials.to_dict(omit_none=True)), flags.VERSION_CHECK, flags.STATIC_PARSER, flags.LOG_PATH,
        ],
        sort_keys=True, default=str,
    )


def stamp(config):
    """When which files of the project, and of its packages, were written."""
    found = []
    for project in config.load_dependencies().values():
        root = project.project_root
        if "site-packages" in root:
            continue
        for name in os.listdir(root):
            if name.endswith((".yml", ".yaml")):
                note(os.path.join(root, name), found)
        for folder in project.all_source_paths + project.docs_paths:
            walk(os.path.join(root, folder), found)
    return sorted(set(found))


def walk(folder, found):
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    walk(entry.path, found)
                else:
                    note(entry.path, found)
    except OSError:
        pass  # A folder that the project names and does not have.


def note(path, found):
    try:
        status = os.stat(path)
        found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError:
        found.append((path, 0, 0, 0))


def told(result, node):
    response = getattr(result, "adapter_response", None) or {}
    return {
        "unique_id": node, "status": str(result.status), "execution_time": result.execution_time,
        "message": scrubbed(result.message), "failures": result.failures, "rows_affected": response.get("rows_affected"),
    }


def node_of(data):
    info = getattr(data, "node_info", None)
    return getattr(info, "unique_id", None) or getattr(data, "unique_id", None) or None


def scrubbed(text):
    from dbt_common.events.functions import env_scrubber

    return env_scrubber(text) if isinstance(text, str) else text


def resident_bytes():
    with open("/proc/self/statm") as table:
        return int(table.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(settings):
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    # As if the script `dbt` had been started: its directory comes first, the working directory does not.
    sys.path[0:1] = [settings["script_directory"]]
    original_error = os.fdopen(os.dup(2), "w")
    channel = Channel(connection)
    bridge = Bridge(channel, Outputs(channel), original_error)
    try:
        version = bridge.import_dbt(settings.get("adapter"))
    except BaseException as error:
        channel.send(failed=f"{type(error).__name__}: {error}")
        return
    folders = [path for path in sys.path if os.path.isdir(path)]
    channel.send(ready=version, python=sys.version.split()[0], folders=folders)
    gc.set_threshold(100_000, 20, 20)
    threading.Thread(target=bridge.listen, daemon=True).start()
    bridge.settle()
    bridge.serve(settings["idle"])


main(SETTINGS)
