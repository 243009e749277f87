"""``python -m health_check_dashboards``: write the dashboards, rules and configurations of a site."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence

from health_check_dashboards.files import FILES
from health_check_dashboards.options import OPTIONS, REPEATED, Options, options_of

FOLDER = "monitoring"

EPILOG = """\
examples:
  python -m health_check_dashboards --job shop --target shop.internal:8000
  python -m health_check_dashboards /etc/health --label env --failing-for 5m --objective 99.9

exit codes:
  0  everything is written, or was there already
  2  something is wrong, and said on standard error
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or list them.

    Returns:
        The exit code: 0, or 2 if something is wrong.
    """
    parser = _parser()
    said = parser.parse_args(arguments)
    if said.list:
        print("\n".join(f"{file.path:<50}{file.text}" for file in FILES))
        return 0
    try:
        options = options_of(_values(said), **{field: tuple(getattr(said, field)) for field in REPEATED})
        written = write(pathlib.Path(said.folder), options, force=said.force)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print("\n".join(str(path) for path in written) or f"Everything in {said.folder} is up to date.")
    return 0


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
    texts = {folder / file.path: file.render(options) for file in FILES}
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder: choose another one.")
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
    return {option.name: getattr(said, option.name.replace("-", "_")) for option in OPTIONS}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m health_check_dashboards",
        description="Write dashboards, alert rules, and what belongs to them, for the health of a Django site.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", default=FOLDER, metavar="DIR", help=f"where to (default: {FOLDER})")
    parser.add_argument("--list", action="store_true", help="list the files, and write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    for field, several in REPEATED.items():
        parser.add_argument(
            f"--{several.name}", action="append", default=[], dest=field, metavar=several.metavar, help=several.text
        )
    for option in OPTIONS:
        text = f"{option.text} (default: {option.default})"
        parser.add_argument(f"--{option.name}", default=option.default, metavar=option.metavar, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
