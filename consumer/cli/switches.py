"""Which jobs of `consumer maintain` the settings turn on; without the libraries of Stack's API, because workers ask."""

from consumer.operations import hours
from consumer.settings.settings import Settings

API = "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY"
# The settings that turn each job on; None: it is always on.
SWITCHES: dict[str, str | None] = {
    hours.JOB: None,
    "prune": "RETENTION_DAYS or AUDIT_RETENTION_DAYS",
    "activity": API,
    "reconcile": API,
    "endpoint": "STACK_PROJECT_ID and STACK_SUPER_SECRET_ADMIN_KEY",
}


def jobs_on(settings: Settings) -> list[str]:
    """Return the names of the jobs that are on."""
    has_api = bool(settings.stack_project_id and settings.stack_secret_server_key)
    is_on = {
        hours.JOB: True,
        "prune": bool(settings.retention_days or settings.audit_retention_days),
        "activity": has_api,
        "reconcile": has_api,
        "endpoint": bool(settings.stack_project_id and settings.stack_super_secret_admin_key),
    }
    return [job for job in SWITCHES if is_on[job]]
