"""``python -m health_check_dashboards``: write the dashboards, rules and configurations of a site."""

from __future__ import annotations

import argparse
import difflib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

from health_check_dashboards.files import File, files_of
from health_check_dashboards.options import OF_TARGET, OPTIONS, REPEATED, Options, options_of

FOLDER = "monitoring"

EPILOG = """\
examples:
  python -m health_check_dashboards --job shop --target shop.internal:8000
  python -m health_check_dashboards /etc/health --label env --failing-for 5m --objective 99.9

  python -m health_check_dashboards --print prometheus/alerts.yml --job shop
  python -m health_check_dashboards --diff --failing-for 5m

exit codes:
  0  all files are written, or were there already; with --diff, none would be written
  1  with --diff, files would be written
  2  wrong usage, or files that cannot be written: standard error says which
"""


GROUPS: Mapping[str, tuple[str, ...]] = {
    "the site": (
        "job",
        "source",
        "metrics",
        "target",
        "probe",
        "health-url",
        "credentials-file",
        "objective",
        "window",
    ),
    "where the others are": ("alertmanager", "blackbox", "webhook", "tempo-uid"),
    "pages": ("runbook-base", "dashboard-base", "grafana-folder"),
    "how often": ("scrape-interval", "export-interval", "evaluation-interval", "gap", "remember"),
    "when to notify": ("page-share", "keep-firing", "group-wait", "group-interval", "repeat-interval"),
}
"""The options by what they are about, for the help; all others are about alerts."""

OTHER_GROUP = "when alerts fire"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, list or print them, or show what would be written.

    Returns:
        The exit code: 0; 1 if ``--diff`` finds something; 2 if something is wrong.
    """
    parser = _parser()
    said = parser.parse_args(arguments)
    try:
        options = options_of(_values(said), **{field: tuple(getattr(said, field)) for field in REPEATED})
        if said.list:
            print("\n".join(f"{file.path:<50}{file.text}" for file in files_of(options)))
            return 0
        if said.print is not None:
            print(_file(said.print, options).render(options), end="")
            return 0
        if said.diff:
            found = "".join(diff(pathlib.Path(said.folder), options))
            print(found, end="")
            return int(bool(found))
        written = write(pathlib.Path(said.folder), options, force=said.force)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print("\n".join(str(path) for path in written) or f"Everything in {said.folder} is up to date.")
    return 0


def _file(path: str, options: Options) -> File:
    """Return the file of a path.

    Raises:
        ValueError: If there is none.
    """
    files = files_of(options)
    paths = [file.path for file in files]
    if path not in paths:
        meant = difflib.get_close_matches(path, paths, n=1)
        raise ValueError(f"--print {path!r}: {f'did you mean {meant[0]!r}?' if meant else 'use one of --list.'}")
    return files[paths.index(path)]


def diff(folder: pathlib.Path, options: Options) -> Iterator[str]:
    """Yield what would change in a folder, as lines of a unified diff.

    Args:
        folder: Where the files are, if they are.
        options: What was said of the site.
    """
    for file in files_of(options):
        path = folder / file.path
        before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        names = str(path) if path.exists() else "/dev/null", str(path)
        yield from difflib.unified_diff(
            before.splitlines(keepends=True), file.render(options).splitlines(keepends=True), *names
        )


def write(folder: pathlib.Path, options: Options, *, force: bool) -> list[pathlib.Path]:
    """Write the files of a site, and return those that were not there as they are now.

    Args:
        folder: Where to.
        options: What was said of the site.
        force: Whether to overwrite files that say something else.

    Raises:
        FileExistsError: If there are such files; then nothing is written.
        OSError: If a file cannot be written.
    """
    texts = {folder / file.path: file.render(options) for file in files_of(options)}
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder: choose another one.")
    others = [path for path, text in texts.items() if _is_other(path, text)]
    if others and not force:
        names = "".join(f"\n  {path}" for path in others)
        raise FileExistsError(f"These files would be overwritten; nothing was written. Use --force to do so:{names}")
    new = [path for path, text in texts.items() if path in others or not path.exists()]
    for path in new:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    return new


def _is_other(path: pathlib.Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != text.encode())


def _values(said: argparse.Namespace) -> Mapping[str, str]:
    values = {option.name: getattr(said, option.name.replace("-", "_")) for option in OPTIONS}
    return {name: value for name, value in values.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m health_check_dashboards",
        usage="%(prog)s [options] [DIR]",
        description="Write dashboards, alert rules, and what belongs to them, for the health of a Django site.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", default=FOLDER, metavar="DIR", help=f"where to (default: {FOLDER})")
    parser.add_argument("--list", action="store_true", help="list the files, and write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument("--print", metavar="FILE", help="print one of the files, and write nothing")
    parser.add_argument("--diff", action="store_true", help="show what would change, and write nothing")
    groups = {title: parser.add_argument_group(title) for title in (*GROUPS, OTHER_GROUP)}
    group_of = {name: groups[title] for title, names in GROUPS.items() for name in names}
    for field, several in REPEATED.items():
        groups["the site"].add_argument(
            f"--{several.name}", action="append", default=[], dest=field, metavar=several.metavar, help=several.text
        )
    for option in OPTIONS:
        default = "/health/ of --target" if option.name in OF_TARGET else option.default or "none"
        text = f"{option.text} (default: {default})"
        group = group_of.get(option.name, groups[OTHER_GROUP])
        group.add_argument(f"--{option.name}", metavar=option.metavar, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
