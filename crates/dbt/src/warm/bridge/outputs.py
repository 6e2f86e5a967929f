"""What goes to the host: messages, and everything that is printed while a request runs."""

import json
import os
import socket
import sys
import threading


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
