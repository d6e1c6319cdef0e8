"""Bugs of the files to run the service."""

from tests.planted.bug import Bug

DOCKERFILE = "Dockerfile"
COMPOSE = "compose.yaml"
KUBERNETES = "deploy/kubernetes"
RELEASE = ".github/workflows/release.yml"
TRUTH = "tests/test_deploy.py"
TOOLS = "tests/test_deploy_tools.py"
IMAGE = "tests/test_image.py"
UPGRADING = "docs/UPGRADING.md"

DEPLOY = (
    Bug(
        "the image has a file that no hash was compared with",
        DOCKERFILE,
        "--no-cache-dir --require-hashes --no-deps",
        "--no-cache-dir --no-deps",
        f"{IMAGE}::test_every_download_is_checked_by_its_hash",
    ),
    Bug(
        "the image brings the bundled server",
        DOCKERFILE,
        "stack-auth-consumer[console,otel]",
        "stack-auth-consumer[console,otel,embedded]",
        f"{IMAGE}::test_the_image_holds_the_service_its_console_and_tracing_and_no_bundled_server",
    ),
    Bug(
        "the image cannot send spans",
        DOCKERFILE,
        "stack-auth-consumer[console,otel]",
        "stack-auth-consumer[console]",
        f"{IMAGE}::test_the_image_holds_the_service_its_console_and_tracing_and_no_bundled_server",
    ),
    Bug(
        "Compose asks the console where it does not listen",
        COMPOSE,
        "http://127.0.0.1:8003/livez",
        "http://127.0.0.1:8001/livez",
        f"{TRUTH}::test_every_console_is_asked_for_its_health_on_its_own_port",
    ),
    Bug(
        "Kubernetes runs a console that refuses to start",
        f"{KUBERNETES}/console.yaml",
        "https://console.example.com",
        "http://console.example.com",
        f"{TRUTH}::test_a_console_starts_and_other_machines_reach_it_by_https_alone",
    ),
    Bug(
        "Compose publishes metrics",
        COMPOSE,
        '"127.0.0.1:8000:8000"',
        '"127.0.0.1:8000:8000", "8001:8001"',
        f"{TRUTH}::test_the_ops_port_is_published_nowhere",
    ),
    Bug(
        "Kubernetes asks a worker where it does not listen",
        f"{KUBERNETES}/worker.yaml",
        "path: /livez\n              port: ops",
        "path: /livez\n              port: 8000",
        f"{TRUTH}::test_probes_ask_the_port_that_the_process_has",
    ),
    Bug(
        "Kubernetes kills a receiver with requests in flight",
        f"{KUBERNETES}/receiver.yaml",
        "terminationGracePeriodSeconds: 20",
        "terminationGracePeriodSeconds: 10",
        f"{TRUTH}::test_each_way_waits_for_the_process_to_end",
    ),
    Bug(
        "a unit names a setting that does not exist",
        "deploy/systemd/consumer-worker.service",
        "WORKER_DATABASE_URL_FILE",
        "WORKER_DATABASE_FILE",
        f"{TRUTH}::test_a_variable_is_a_setting",
    ),
    Bug(
        "Fly migrates by a command that does not exist",
        "deploy/fly.toml",
        'release_command = "migrate"',
        'release_command = "upgrade"',
        f"{TRUTH}::test_a_command_line_is_accepted",
    ),
    Bug(
        "a release runs what somebody moved a tag to",
        RELEASE,
        "gh-action-pypi-publish@dc37677b2e1c63e2034f94d8a5b11f265b73ba33",
        "gh-action-pypi-publish@release/v1",
        f"{TOOLS}::test_an_action_is_pinned_by_its_commit",
    ),
    Bug(
        "a unit forbids what its process does",
        "deploy/systemd/consumer-.service.d/hardening.conf",
        "SystemCallFilter=~@privileged @resources",
        "SystemCallFilter=~@privileged @resources @network-io",
        "tests/test_deploy_calls.py::test_a_unit_allows_every_call_of_its_process",
    ),
    Bug(
        "the way back leaves the migration in the ledger",
        UPGRADING,
        "DELETE FROM consumer._yoyo_migration",
        "SELECT FROM consumer._yoyo_migration",
        "tests/test_upgrading.py::test_the_commands_take_the_newest_migration_back",
    ),
    Bug(
        "the page on sizes multiplies other figures than it shows",
        "docs/SIZING.md",
        "| update: stored delivery | 1,827 |",
        "| update: stored delivery | 18,270 |",
        "tests/test_sizing.py::test_the_page_multiplies_what_it_measured",
    ),
)
