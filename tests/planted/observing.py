"""Bugs of metrics, alert rules and spans."""

from tests.planted.bug import Bug

METRICS = "consumer/metrics.py"
SPANS = "consumer/process/spans.py"
REPORT = "consumer/worker/batch_report.py"
ALERTS = "docs/prometheus/alerts.yaml"
VALUES = "tests/test_metric_recovery.py::test"
FIRES = "tests/test_alerts.py::test"
TRACES = "tests/test_tracing.py::test"
SHOWN = "tests/test_dashboard.py::test"

OBSERVING = (
    Bug(
        "a process that is not ready says that it is",
        "consumer/process/ops.py",
        "await health.not_ready_reason() is None",
        "await health.not_ready_reason() is not probe",
        "tests/test_ops.py::test_metrics_tell_whether_the_process_is_ready",
    ),
    Bug(
        "a replayed delivery counts as late",
        "sql/queries/queue/claim.sql",
        "WHEN c.queued_by = o.xmin THEN extract",
        "WHEN c.seq > 0 THEN extract",
        f"{VALUES}_a_replayed_delivery_has_no_age",
    ),
    Bug(
        "a batch is as old as its newest delivery was when it was claimed",
        METRICS,
        "observe(oldest_seconds + seconds)",
        "observe(oldest_seconds)",
        f"{VALUES}_a_batch_is_as_old_as_its_oldest_delivery_at_its_commit",
    ),
    Bug(
        "what a rebuild postpones counts as made anew",
        REPORT,
        "metrics.rebuilt(stage, deliveries=rebuilt.done)",
        "metrics.rebuilt(stage, deliveries=rebuilt.done + len(rebuilt.postponed))",
        f"{VALUES}_a_rebuild_is_counted_by_stage_and_by_the_kind_of_row_that_differed",
    ),
    Bug(
        "each range of a company's users counts as a company",
        "sql/queries/rehome/waiting.sql",
        "count(DISTINCT company_id)",
        "count(company_id)",
        f"{VALUES}_a_company_to_be_re_homed_counts_once_however_many_ranges_of_users_wait",
    ),
    Bug(
        "the pool's milliseconds are told as seconds",
        "consumer/gauges.py",
        '("usage_ms", 1000,',
        '("usage_ms", 1,',
        "tests/test_metrics.py::test_a_receiver_tells_what_waits_and_how_its_pool_does",
    ),
    Bug(
        "an alert asks for a label's value that nobody counts",
        ALERTS,
        'reason="store_unavailable"',
        'reason="unavailable"',
        f"{FIRES}_metrics_and_labels_of_a_rule_exist",
    ),
    Bug(
        "an alert fires on a sound installation",
        ALERTS,
        "max(consumer_oldest_due_seconds) > 60",
        "max(consumer_oldest_due_seconds) > 6",
        f"{FIRES}_nothing_fires_on_a_sound_installation_close_to_every_limit",
    ),
    Bug(
        "an alert waits until its event is forgotten",
        ALERTS,
        "[5m])) > 0\n        for: 2m",
        "[5m])) > 0\n        for: 10m",
        f"{FIRES}_a_rule_waits_long_enough_for_a_scrape_and_no_longer_than_its_event_is_seen",
    ),
    Bug(
        "one forged request raises an alarm",
        ALERTS,
        '{reason="no_match"}[15m])) >= 10\n          unless',
        '{reason="no_match"}[15m])) > 0\n          unless',
        f"{FIRES}_a_stranger_s_requests_in_a_quiet_quarter_of_an_hour_alarm_by_the_limit_of_the_finding",
    ),
    Bug(
        "an alert that waits fires at once",
        "tests/support/promql.py",
        "scrapes.now - since >= wait_seconds",
        "scrapes.now >= since",
        f"{FIRES}_an_alert_fires_once_its_fault_has_lasted_as_long_as_the_rule_waits",
    ),
    Bug(
        "the dashboard groups by a label that does not exist",
        "docs/grafana/dashboard.json",
        "sum by (error_class)",
        "sum by (fault)",
        f"{SHOWN}_a_query_parses_and_names_metrics_and_labels_that_exist",
    ),
    Bug(
        "a span records the text of an exception",
        SPANS,
        'start_as_current_span("store", record_exception=False)',
        'start_as_current_span("store")',
        f"{TRACES}_a_failed_store_is_an_error_without_the_exception",
    ),
    Bug(
        "a batch links to nothing that exists",
        SPANS,
        'hashlib.sha256(f"{source} {message_id}".encode())',
        'hashlib.sha256(f"{source} {message_id} {time.time_ns()}".encode())',
        f"{TRACES}_a_request_holds_its_store_and_the_batch_links_to_it",
    ),
    Bug(
        "a silent collector holds up the end of a process",
        SPANS,
        "flushing.join(FLUSH_SECONDS)",
        "flushing.join()",
        f"{TRACES}_a_collector_that_is_silent_holds_the_end_of_a_process_up_no_longer_than_its_limit",
    ),
    Bug(
        "an inherited endpoint ends a process that has no OpenTelemetry",
        "consumer/process/tracing.py",
        "except (ImportError, RuntimeError, ValueError) as error",
        "except (RuntimeError, ValueError) as error",
        f"{TRACES}_a_process_starts_without_the_extra_wherever_the_platform_sets_an_endpoint",
    ),
    Bug(
        "the receiver sends no span of what it stores",
        "consumer/cli/serve.py",
        "tracing.put(intake.put)",
        "intake.put",
        f"{TRACES}_serve_and_work_send_their_spans",
    ),
    Bug(
        "a job that failed is told as done",
        "consumer/process/ops.py",
        "run.error is not None",
        "run.error is None",
        f"{VALUES}_the_last_run_of_each_job_of_maintain_is_told",
    ),
    Bug(
        "a finding has no alert",
        ALERTS,
        "quiet|no_worker|",
        "quiet|",
        f"{FIRES}_each_finding_is_noticed",
    ),
)
