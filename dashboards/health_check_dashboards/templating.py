"""Adapts a file to a site.

The files of this package are what a site with the defaults gets, and work as they are. Where another value may stand, a
line ends in a mark, such as ``# --failing-for``: there the default of that option is replaced. Besides, the job in
expressions is replaced everywhere, and the labels ``namespace, job`` by which rules aggregate.
"""

from __future__ import annotations

import re

from health_check_dashboards.options import DEFAULTS, Options, error_budget

KUBERNETES_LABEL = "app.kubernetes.io/name"
"""The label of Kubernetes whose value is the job, as far as Kubernetes takes that."""

MARKS = re.compile(r"#(?P<names>(?: --[a-z-]+)+)$")


def adapt(text: str, options: Options) -> str:
    """Return the text of a file, adapted."""
    lines = [_adapt_line(line, options) for line in text.splitlines(keepends=True)]
    return with_labels("".join(lines).replace('job="django"', f'job="{options["job"]}"'), options.labels)


def _adapt_line(line: str, options: Options) -> str:
    match = MARKS.search(line)
    if match is None:
        return line
    code = line[: match.start()]
    for name in match["names"].replace("--", "").split():
        value = _literal(name, options[name])
        value = label_value(value) if KUBERNETES_LABEL in code else value
        code = _replaced(code, _literal(name, DEFAULTS[name]), value)
    return code + line[match.start() :]


def label_value(text: str) -> str:
    """Return a text as Kubernetes takes it for the value of a label: at most 63 letters, digits and ``. _ -``."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:63].strip("._-")


def _replaced(code: str, default: str, value: str) -> str:
    found, count = re.subn(rf"(?<![\w.]){re.escape(default)}(?![\w.])", lambda _: value, code)
    if not count:
        raise LookupError(f"{default!r} is not in the marked line {code!r}")
    return found


def _literal(name: str, value: str) -> str:
    return error_budget(value) if name == "objective" else value


def with_labels(text: str, labels: tuple[str, ...]) -> str:
    """Return a text whose expressions tell sites apart by more labels, also in the queries of templates."""
    for label in labels:
        text = text.replace("namespace, job", f"{label}, namespace, job")
        text = text.replace("namespace=%q,job=%q", f"{label}=%q,namespace=%q,job=%q")
        text = re.sub(r"(\$labels|\.Labels)\.namespace \1\.job", rf"\1.{label} \g<0>", text)
    return text
