"""Bugs of the tool that compares a real project with what the product relies on."""

from tests.planted.bug import Bug

TESTS, MASK_TESTS = "tests/test_verify.py", "tests/test_verify_masks.py"

VERIFY = (
    Bug(
        "metadata is recorded as it is",
        "tools/verify/masks.py",
        "        if field.endswith(OPAQUE):\n            return _placeholder(value)\n",
        "",
        f"{MASK_TESTS}::test_no_planted_value_survives",
    ),
    Bug(
        "the id in a path is recorded as it is",
        "tools/verify/recording.py",
        "masks.path(self.call.path)",
        "self.call.path",
        f"{MASK_TESTS}::test_no_planted_value_survives",
    ),
    Bug(
        "an answer of another shape is as expected",
        "tools/verify/claims.py",
        "if differences := visit.recorder.differences(claim.name):",
        "if differences := visit.recorder.differences(claim.sentence):",
        f"{TESTS}::test_a_missing_field_is_named",
    ),
    Bug(
        "a difference is a success",
        "tools/verify/__main__.py",
        'if left or any(finding.verdict == "differs" for finding in findings):',
        "if left:",
        f"{TESTS}::test_another_error_is_named",
    ),
    Bug(
        "what was made stays after an interrupt",
        "tools/verify/__main__.py",
        "        finally:\n            visit.recorder.claim",
        "        except KeyError:\n            raise\n        else:\n            visit.recorder.claim",
        f"{TESTS}::test_an_interrupted_run_removes_what_it_made",
    ),
    Bug(
        "the team of a new user stays",
        "tools/verify/visit.py",
        "for team in teams if isinstance(teams, list) else []:",
        "for team in []:",
        f"{TESTS}::test_teams_that_a_project_gives_to_new_users_go_too",
    ),
)
