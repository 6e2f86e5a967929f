"""The manifest: that of the last parse is kept for as long as nothing has changed that it was made of; and its writing."""

import json
import os

# What dbt notes for a variable that was not there, and had a default.
BY_DEFAULT = "DBT_DEFAULT_PLACEHOLDER"


class KeptManifest:
    """Stands before dbt's own `setup_manifest`, which takes a manifest that is there and parses where there is none."""

    def __init__(self, setup):
        self.setup = setup
        # Whether the present request may have it. A run writes what it compiles into the nodes of its manifest, and
        # dbt writes them all to `manifest.json`: so no other run is given it.
        self.may_be_used = False
        self.asked = self.made_of = self.manifest = None

    def __call__(self, context, *arguments, **named):
        config, flags = context.obj["runtime_config"], context.obj["flags"]
        # Taken before it is read: what changes meanwhile is read again.
        asked, made_of = key(config, flags), stamp(config)
        if context.obj.get("manifest") is None and self.may_be_used and getattr(flags, "PARTIAL_PARSE", True):
            if (asked, made_of) == (self.asked, self.made_of) and same_variables(self.manifest):
                context.obj["manifest"] = self.manifest
        self.manifest = None
        self.setup(context, *arguments, **named)
        self.asked, self.made_of, self.manifest = asked, made_of, context.obj["manifest"]


class WholeJson:
    """`json`, with a `dump` that encodes all at once, in C, as `dumps` does, and not piece by piece in Python.

    dbt writes `manifest.json` twice in a run; by pieces that takes as long as all the rest of a small one. The text is the
    same.
    """

    def __getattr__(self, name):
        return getattr(json, name)

    def dump(self, value, file, **named):
        file.write(json.dumps(value, **named))


def same_variables(manifest):
    """Whether the environment variables that were rendered into it are what they were."""
    from dbt_common.context import get_invocation_context

    now = get_invocation_context().env
    return all(now.get(name, BY_DEFAULT) == was for name, was in manifest.env_vars.items())


def key(config, flags):
    """What a manifest depends on beside files."""
    return json.dumps(
        [
            config.project_root, config.profile_name, config.target_name, config.cli_vars,
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
            continue  # dbt's own: they change with the installed packages, which the host watches.
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
