"""The Grafana dashboards as code: ``python -m health_check_dashboards.drawing`` writes their JSON.

Only developers run it, and it needs the Grafana Foundation SDK; the installed package has the JSON.
"""

try:
    import grafana_foundation_sdk  # noqa: F401 - here only to say what to do without it
except ImportError as error:
    raise ImportError(
        "The dashboards are drawn with the Grafana Foundation SDK:"
        " pip install 'grafana-foundation-sdk==1769699379!11.6.0'"
    ) from error
