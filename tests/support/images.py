"""The images of the audit, as plain Python makes them of a profile's columns."""

from datetime import UTC

from tests.support.model_facts import Row

# The fields of a profile that the audit tells, by name.
IMAGED = (
    "avatar_url",
    "company_id",
    "deleted_at",
    "department",
    "email",
    "email_verified",
    "full_name",
    "is_restricted",
    "role_type",
)


def image(profile: Row) -> Row:
    """Return what the audit must show of a profile, told by its columns alone."""
    shown = {field: profile[field] for field in IMAGED}
    shown["company_id"] = profile["company_id"] and str(profile["company_id"])
    if at := profile["deleted_at"]:
        fraction = f"{at:.%f}".rstrip("0").rstrip(".")
        shown["deleted_at"] = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{fraction}+00:00"
    return shown


def changed(before: Row | None, after: Row) -> list[str]:
    """Return the fields that differ, in the order of their names."""
    assert after.keys() == set(IMAGED)
    return [field for field in IMAGED if after[field] != (before[field] if before else None)]
