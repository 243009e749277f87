"""Adapts a file to a site.

The files of this package are what a site with the defaults gets, and work as they are. Where another value may stand, a
line ends in a mark, such as ``# --failing-for``: there the default of that option is replaced. What is marked
``# only: scrape`` is left out for another ``--source``: a line, or the rule after a mark on a line of its own; what has
``# otlp:`` before it holds for ``--metrics otlp`` only. Besides, the job in expressions is replaced everywhere, the
labels ``namespace, job`` by which rules aggregate, and the tags ``owner, tier`` of checks.
"""

from __future__ import annotations

import functools
import re

from health_check_dashboards import otlp
from health_check_dashboards.options import DEFAULTS, OTLP, Options, error_budget, seconds

KUBERNETES_LABEL = "app.kubernetes.io/name"
"""The label of Kubernetes whose value is the job, as far as Kubernetes takes that."""

KUBERNETES_NAME = re.compile(r"^ *(?:- )?(?:name|image|url|secret): ")
"""Lines of Kubernetes' resources that have the job as a part of a name."""

MARKS = re.compile(r"#(?P<names>(?: --[a-z-]+)+)$")

ONLY_RULE = re.compile(r"^ *# only: (?P<sources>[a-z ]+)\n(?P<kept>(?:.+\n)+\n?)", re.MULTILINE)
ONLY_LINE = re.compile(r"^(?P<kept>.*)  # only: (?P<sources>[a-z ]+?)(?P<marks>(?:  # .*)?\n)", re.MULTILINE)
OTLP_LINE = re.compile(r"^( *)# otlp: ?(.*\n)", re.MULTILINE)

TAGS = ("owner", "tier")
"""The tags of checks that alerts have where no others are named."""


def adapt(text: str, options: Options) -> str:
    """Return the text of a file, adapted."""
    text = _of_source(text, options.source)
    text = "".join(_adapt_line(line, options) for line in text.splitlines(keepends=True))
    text = text.replace('job="django"', f'job="{options["job"]}"')
    tags = options.tags or TAGS
    if options.source == OTLP:
        text = otlp.adapted(otlp.with_alert_labels(text, tags))
        tags = tuple(otlp.tag_label(tag) for tag in tags)
    text = text.replace(", ".join(TAGS), ", ".join(tags))
    text = _with_exemplars(_with_credentials(text, options["credentials-file"]), options["tempo-uid"])
    text = with_resource_labels(_with_owners(text, options.owners), options.k8s_labels)
    text = with_labels(text, options.labels)
    return otlp.renamed(text) if options.source == OTLP else text


def with_runbooks(text: str, base: str) -> str:
    """Return a text whose links to the page on the alerts lead elsewhere: ``?runbook=`` takes the name as its value."""
    default = DEFAULTS["runbook-base"]
    text = text.replace(f"{default}#", base) if base.endswith("=") else text
    return text.replace(default, base)


def _of_source(text: str, source: str) -> str:
    """Return a text without what does not hold where metrics come so."""
    if source == DEFAULTS["source"]:
        return text
    for marked in (ONLY_RULE, ONLY_LINE):
        text = marked.sub(lambda match: _kept(match) if source in match["sources"].split() else "", text)
    return OTLP_LINE.sub(r"\1\2" if source == OTLP else "", text)


def _kept(match: re.Match[str]) -> str:
    """Return what was marked, without the mark of a source."""
    return match["kept"] + match.groupdict().get("marks", "")


def _adapt_line(line: str, options: Options) -> str:
    match = MARKS.search(line)
    if match is None:
        return line
    code = line[: match.start()]
    for name in match["names"].replace("--", "").split():
        for default, value in _literals(name, code, options):
            code = _replaced(code, default, value)
    return code + line[match.start() :]


def _literals(name: str, code: str, options: Options) -> list[tuple[str, str]]:
    """Return what stands in a line for an option, and what is to stand there."""
    default, value = DEFAULTS[name], options[name]
    if name == "source":
        return _source(code, options) if options.source != default else []
    if name == "objective":
        return [(error_budget(default), error_budget(value))]
    if name == "job" and KUBERNETES_LABEL in code:
        return [(default, label_value(value))]
    if name == "job" and KUBERNETES_NAME.match(code):
        return [(default, resource_name(value))]
    if name == "runbook-base":
        return [(code, with_runbooks(code, value))]
    if name == "evaluation-interval" and default not in code:  # in an expression, as a number
        return [(f"{seconds(default):g}", f"{seconds(value):g}")]
    return [(default, value)]


def _source(code: str, options: Options) -> list[tuple[str, str]]:
    """Return what shows that a target is there, where ``up`` is not of the site: that its metrics are."""
    is_otlp = options.source == OTLP
    window = f"{1.5 * seconds(options['export-interval']):g}s" if is_otlp else options["gap"]
    there = f'last_over_time(django_health_check_store_up{{job="django"}}[{window}])'
    pairs = [('up{job="django"}', there), ('role="site"', 'role="site"' if is_otlp else 'role="command"')]
    return [(old, new) for old, new in pairs if old in code]


def label_value(text: str) -> str:
    """Return a text as Kubernetes takes it for the value of a label: at most 63 letters, digits and ``. _ -``."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:63].strip("._-")


def resource_name(text: str) -> str:
    """Return a text as Kubernetes takes it for the beginning of a name: at most 45 small letters, digits and ``-``.

    That of a Service begins with a letter; and what YAML takes for no text would have to be quoted.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return name if name[0].isalpha() and name not in YAML_WORDS else f"site-{name}"


YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Words that YAML does not take for texts."""


def _with_credentials(text: str, file: str) -> str:
    """Return a configuration of Prometheus that shows a token to the site."""
    authorization = f"    authorization:\n      credentials_file: {file}\n"
    return (
        text.replace("    metrics_path: /metrics\n", f"    metrics_path: /metrics\n{authorization}") if file else text
    )


def _with_exemplars(text: str, uid: str) -> str:
    """Return a data source of Grafana's whose exemplars lead to traces."""
    links = f"      exemplarTraceIdDestinations:\n        - name: trace_id\n          datasourceUid: {uid}\n"
    return f"{text}{links}" if uid and "kind:" not in text and "\ndatasources:" in text else text


def with_resource_labels(text: str, labels: tuple[str, ...]) -> str:
    """Return resources of the Prometheus operator with more labels, by which it selects them."""
    lines = "".join('    {}: "{}"\n'.format(*label.split("=", 1)) for label in labels)
    return OPERATOR_LABELS.sub(lambda match: f"{match[0]}{lines}", text) if lines else text


OPERATOR_LABELS = re.compile(r"apiVersion: monitoring\.coreos\.com/v1\n(?:.+\n)*?  labels:\n")


def _with_owners(text: str, owners: tuple[str, ...]) -> str:
    """Return a configuration of Alertmanager that sends alerts on the checks of an owner to that owner."""
    if "\nroute:" not in text:
        return text
    routes, receivers = "", ""
    for owner, _, url in (owner.partition("=") for owner in owners):
        routes += f"        - receiver: health-owner-{owner}\n          matchers: ['owner=\"{owner}\"']\n"
        receivers += (
            f"  - name: health-owner-{owner}\n    webhook_configs:\n      - url: {url}\n        send_resolved: true\n"
        )
    text = text.replace(
        "      routes:\n        - receiver: health-pager\n",
        f"      routes:\n{routes}        - receiver: health-pager\n",
    )
    return text.replace("  # Who is woken", f"{receivers}  # Who is woken")


def _replaced(code: str, default: str, value: str) -> str:
    found, count = re.subn(rf"(?<![\w.]){re.escape(default)}(?!\w|\.\w)", lambda _: value, code)
    if not count:
        raise LookupError(f"{default!r} is not in the marked line {code!r}")
    return found


def with_labels(text: str, labels: tuple[str, ...]) -> str:
    """Return a text whose expressions distinguish sites by more labels, also in the queries of templates."""
    for label in labels:
        text = text.replace("namespace, job", f"{label}, namespace, job")
        text = text.replace('namespace=~\\"$namespace\\"', f'{label}=~\\"${label}\\", namespace=~\\"$namespace\\"')
        text = text.replace('\\"namespace\\", \\"job\\"', f'\\"{label}\\", \\"namespace\\", \\"job\\"')
        text = text.replace("namespace=%q,job=%q", f"{label}=%q,namespace=%q,job=%q")
        text = re.sub(r"(\$labels|\.Labels)\.namespace \1\.job", rf"\1.{label} \g<0>", text)
        text = IN_NAMESPACE.sub(functools.partial(_named_by, label), text)
        text = text.replace("{{namespace}}", f"{{{{{label}}}}} {{{{namespace}}}}")  # legends
    return text


def _named_by(label: str, match: re.Match[str]) -> str:
    return match[0].replace("namespace", label).replace("Namespace", label.capitalize()) + match[0]


IN_NAMESPACE = re.compile(
    r"\{\{ with (?:\$labels|\.Labels)\.namespace \}\}.*?\{\{ end \}\}"  # where a text names the site
    r"|var-namespace=\{\{ \$labels\.namespace \| urlquery \}\}&"  # links of alerts to dashboards
    r"|var-namespace=\$\{__data\.fields\.Namespace\b[^}]*\}&"  # links between dashboards
)
"""Where a site is named by its namespace, outside of expressions."""
