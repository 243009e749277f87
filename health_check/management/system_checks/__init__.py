"""The system checks: what ``manage.py check`` says about the settings, the endpoints and the installation.

To import this registers them.
"""

from health_check.management.system_checks import endpoints, installation, migration, policies, settings

__all__ = ["endpoints", "installation", "migration", "policies", "settings"]
