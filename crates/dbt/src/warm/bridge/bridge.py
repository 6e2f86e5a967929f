"""Keeps dbt imported, and runs what it is asked to, one request at a time.

It talks with its host in lines of JSON over a socket, which it gets as its standard input and takes away from there: dbt,
what dbt starts, and whatever prints, can do with standard input, output and error what they like. What they write there is
caught and sent as it comes. See `protocol.rs` for the messages.

What always holds:
- After a request nothing that dbt opened is open any more: no database, no log. It looks, and tells what is left.
- A request runs in the main thread, for Python takes signals there only: cancelling is a Ctrl-C, to dbt as to us.
- When the host is gone (the socket's end is seen), what runs is cancelled as by Ctrl-C, and the process ends.
"""

import contextlib
import faulthandler
import gc
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import time

from dbmux_lighter import lighten
from dbmux_manifest import KeptManifest, WholeJson
from dbmux_outputs import Channel, Logged, Outputs
from dbmux_release import interrupt_statements, release, still_open
from dbmux_rows import count_rows

# How long dbt may take to stop after its host is gone, before the process ends without it, in seconds.
LAST_PATIENCE = 30
# How often the statements of a cancelled request are interrupted, in seconds.
INSISTS = 0.5
# How long nobody asks before what requests have left is collected, in seconds.
PAUSE = 0.3
# What dbt imports only when it is needed: done while nobody waits.
LATER = ["dbt.task." + name for name in ("build", "run", "test", "list", "compile", "show", "seed", "snapshot")]


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
        signal.signal(signal.SIGINT, self.interrupted)
        faulthandler.enable(original_error)

    # Starting.

    def import_dbt(self, adapter):
        from dbt.cli import main, requires
        from dbt_common.clients import system
        from dbt_common.events import functions
        import dbt.version

        self.cli = main.cli
        functions.capture_stdout_logs(self.logged)
        self.manifest = KeptManifest(getattr(requires, "setup_manifest", None))
        if self.manifest.setup is not None:
            requires.setup_manifest = self.manifest
        system.json = WholeJson()
        lighten()
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
                request = self.next(idle)
            except queue.Empty:
                self.channel.send(bye="idle")
                return
            if request is None:
                return
            self.answer(request)

    def next(self, idle):
        """The next request. What the last one has left is collected once nobody follows at its heels: that takes a tenth of
        a second, in which nobody else is heard."""
        try:
            return self.requests.get(timeout=PAUSE)
        except queue.Empty:
            gc.collect()
            return self.requests.get(timeout=idle)

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
        results, nodes = {}, []
        with noting_skips() as skipped_for:
            code, value, error = self.run_dbt(request, results)
        for result in getattr(value, "results", None) or []:
            if (node := getattr(result, "node", None)) is not None:
                results[node.unique_id] = told(result, node.unique_id)
                results[node.unique_id]["skipped_for"] = skipped_for.get(node.unique_id, [])
                nodes.append((node, results[node.unique_id]))
        if nodes and request["id"] not in self.cancelled:
            count_rows(nodes)
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
        self.manifest.may_be_used = keep
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


def told(result, node):
    response = getattr(result, "adapter_response", None) or {}
    return {
        "unique_id": node, "status": str(result.status), "execution_time": result.execution_time,
        "message": scrubbed(result.message), "failures": result.failures, "rows_affected": response.get("rows_affected"),
    }


@contextlib.contextmanager
def noting_skips():
    """For what dbt skips each node, by dbt's own graph: its ancestors that failed, or were themselves skipped."""
    from dbt.task.runnable import GraphRunnableTask

    found = {}
    mark = getattr(GraphRunnableTask, "_mark_dependent_errors", None)

    def note(task, node_id, *arguments, **named):
        for later in task.graph.get_dependent_nodes(node_id) if task.graph is not None else ():
            found.setdefault(later, []).append(node_id)
        return mark(task, node_id, *arguments, **named)

    if mark is not None:
        GraphRunnableTask._mark_dependent_errors = note
    try:
        yield found
    finally:
        if mark is not None:
            GraphRunnableTask._mark_dependent_errors = mark


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
    sys.path[: sys.path[:1] == [""]] = [settings["script_directory"]]
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
    # Everything has been released and sent. Taking Python apart would only take time, while somebody waits for the end.
    os._exit(0)
