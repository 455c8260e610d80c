"""The command line: arguments to settings, then one function per command.

A command's module is imported when it is asked for, so that `reconciler status` does not pay for
the daemon. Exit codes: 0 done; 1 failed; 2 `plan` found changes; 3 invalid input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from reconciler.core.errors import ReconcilerError
from reconciler.core.gc import bulk_load
from reconciler.core.lean import import_without, share_one_heap
from reconciler.core.unread import forget
from reconciler.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from rich.console import Console

FAILED, INVALID = 1, 3

Command = Callable[[Settings, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parsed = build_parser().parse_args(arguments)
    try:
        settings = load(vars(parsed))
    except SettingsError as error:
        print(f"reconciler: {error}", file=sys.stderr)  # noqa: T201 - the command line's voice
        return INVALID
    command: Command = parsed.command
    try:
        return command(settings, parsed)
    except ReconcilerError as error:
        print(f"reconciler: {error}", file=sys.stderr)  # noqa: T201 - the command line's voice
        return FAILED


class _Parser(argparse.ArgumentParser):
    """Refuses arguments as invalid input: argparse's own code, 2, means that a plan has changes."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(INVALID, f"{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    """`--version`: looked up when asked for, for that reads and parses a file."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"{parser.prog} {version(parser.prog)}\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command; its help is documentation, so it is tested."""
    parser = _Parser(
        prog="reconciler",
        description="Kubernetes v1 manifests on plain Docker hosts, straight from Git.",
        epilog="Settings come from RECONCILER_* variables, --config FILE and flags, "
        "each stronger than the one before.",
    )
    text = "print the program's version and exit"
    parser.add_argument("--version", action=_Version, nargs=0, help=text)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_manifests(commands)
    _add_reading(commands)
    _add_steering(commands)
    _add(commands, "kubeconfig", _kubeconfig, "print a kubeconfig for this host's API", ("listen",))
    _add(commands, "down", _down, "remove all that reconciler made on this host")
    return parser


def _add_manifests(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the commands that take a source of manifests."""
    _add(commands, "run", _run, "run the daemon until it is told to stop", _SOURCE, _DAEMON)
    validate = _add(commands, "validate", _validate, "check manifests offline", _KEYS)
    validate.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or directory")
    render = _add(commands, "render", _render, "print the objects that a source yields", _KEYS)
    render.add_argument("target", type=Path, metavar="PATH", help="file or directory")
    text = "as this source of the daemon yields it, with its namespace and variables"
    render.add_argument("--as", dest="name", default="", metavar="SOURCE", help=text)
    plan = _add(
        commands, "plan", _plan, "show what a sync would change; exit 2 when it would", _SOURCE,
        ("source_name",),
    )  # fmt: skip
    text = "for people (the default) or for programs"
    plan.add_argument("-o", "--output", choices=("text", "json"), default="text", help=text)
    text = "plan the files of the work tree as they are, before they are committed"
    plan.add_argument("--uncommitted", action="store_true", help=text)


def _add_reading(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the commands that ask the daemon."""
    status = _add(commands, "status", _status, "show the source, its revision and each workload")
    status.add_argument("-w", "--watch", action="store_true", help="keep showing it, live")
    _one_source(status, "the one to show, instead of all")
    history = _add(commands, "history", _history, "list the revisions and what became of them")
    _one_source(history, "the one whose revisions are listed, instead of all")
    explain = _add(
        commands, "explain", _explain, "tell which line and commit ask for a pod or container"
    )
    explain.add_argument("target", metavar="POD|CONTAINER", help="[namespace/]pod, name or ID")


def _add_steering(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the commands that tell the daemon something."""
    sync = _add(commands, "sync", _sync, "make the running daemon look at its sources now")
    _one_source(sync, "the one to look at, instead of all")
    approve = _add(commands, "approve", _approve, "let a revision that is held go on")
    approve.add_argument("revision", metavar="REVISION", help="its name, or the start of its id")
    undelete = _add(
        commands, "undelete", _undelete, "bring back what rests since it is no longer declared"
    )
    undelete.add_argument(
        "names", nargs="*", metavar="[NAMESPACE/][KIND/]NAME", help="without any, list what rests"
    )
    undelete.add_argument("--all", action="store_true", help="bring everything back that rests")
    suspend = _add(commands, "suspend", _suspend, "leave all that a source declares as it is")
    _one_source(suspend, "its name; not needed when there is only one")
    resume = _add(commands, "resume", _resume, "follow a suspended source again")
    _one_source(resume, "its name; not needed when there is only one")


_KEYS = ("age_key_file",)
_SOURCE = (
    "source", "branch", "tag", "commit", "semver", "path", "git_token_file", "git_ca_file",
    "ssh_key_file", "known_hosts_file", "signers_file", "gpg_keys_file", *_KEYS,
)  # fmt: skip
_DAEMON = (
    "source_name", "interval", "webhook_listen", "webhook_secret_file",
    "on_failure", "prune_threshold", "prune_keep_seconds",
    "max_surge", "max_unavailable", "min_ready_seconds", "progress_deadline_seconds",
    "notify_webhook", "notify_slack", "notify_email", "otlp_endpoint",
    "commit_status", "commit_status_url", "commit_status_token_file", "listen", "docker_socket",
    "node_name", "register_node", "pod_cidr",
    "service_cidr", "cluster_dns", "cluster_domain", "node_port_min", "node_port_max",
    "node_port_addresses", "load_balancer_pool", "volume_drivers",
    "seccomp_profiles", "allowed_unsafe_sysctls",
    "let_go_timeout", "git_repo_timeout", "git_repo_size", "git_repo_file", "log_level", "audit",
)  # fmt: skip
_COMMON = ("state_dir", "run_dir", "store_key_file")


def _add(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    command: Command,
    summary: str,
    *groups: Sequence[str],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=command)
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings")
    for setting in (*(each for group in groups for each in group), *_COMMON):
        _add_setting(parser, setting)
    return parser


def _one_source(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("name", nargs="?", default="", metavar="SOURCE", help=text)


def _add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    field = Settings.model_fields[name]
    flag = "--" + name.replace("_", "-")
    known = field.default and field.default_factory is None
    default = f" (default {field.default})" if known else ""
    text = f"{field.description}{default}"
    if field.annotation is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        parser.add_argument(flag, metavar=name.upper(), help=text)


def _run(settings: Settings, _: argparse.Namespace) -> int:
    share_one_heap()
    with bulk_load():
        import_without("structlog", "rich")
        import_without("requests", "charset_normalizer")
        from reconciler import app

        # The API's OpenAPI documents are made of the models and what is written in them.
        forget(kept="reconciler.model")
    return app.main(settings)


def _console() -> Console:
    """Return the terminal; the daemon does without rich, so it is imported here."""
    from rich.console import Console

    return Console()


def _validate(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.validate import run_validate

    return run_validate(parsed.paths, _console(), settings.age_key_file)


def _render(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.render import run_render

    return run_render(settings, _console(), parsed.target, parsed.name)


def _plan(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.plan import run_plan

    return run_plan(settings, _console(), output=parsed.output, uncommitted=parsed.uncommitted)


def _status(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.status import run_status

    return run_status(settings, _console(), watch=parsed.watch, name=parsed.name)


def _history(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.history import run_history

    return run_history(settings, _console(), parsed.name)


def _sync(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.sync import run_sync

    return run_sync(settings, _console(), parsed.name)


def _explain(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.explain import run_explain

    return run_explain(settings, _console(), parsed.target)


def _approve(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.steer import run_approve

    return run_approve(settings, _console(), parsed.revision)


def _suspend(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.steer import run_suspend

    return run_suspend(settings, _console(), parsed.name, suspend=True)


def _resume(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.steer import run_suspend

    return run_suspend(settings, _console(), parsed.name, suspend=False)


def _undelete(settings: Settings, parsed: argparse.Namespace) -> int:
    from reconciler.cli.undelete import run_undelete

    return run_undelete(settings, _console(), parsed.names, everything=parsed.all)


def _kubeconfig(settings: Settings, _: argparse.Namespace) -> int:
    from reconciler.cli.kubeconfig import run_kubeconfig

    return run_kubeconfig(settings)


def _down(settings: Settings, _: argparse.Namespace) -> int:
    from reconciler.cli.down import run_down

    return run_down(settings, _console())


if __name__ == "__main__":
    sys.exit(main())
