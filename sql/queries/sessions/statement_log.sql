-- What the server logs of this login's statements; a setting of an extension that is not loaded is left out.
SELECT
    quote_ident(session_user) AS login,
    jsonb_object_agg(s.name, s.setting) AS settings
FROM pg_settings AS s
WHERE s.name = ANY(ARRAY[
    'auto_explain.log_min_duration',
    'debug_print_plan',
    'log_error_verbosity',
    'log_min_duration_sample',
    'log_min_duration_statement',
    'log_min_error_statement',
    'log_min_messages',
    'log_parameter_max_length',
    'log_parameter_max_length_on_error',
    'log_statement',
    'log_statement_sample_rate',
    'log_transaction_sample_rate',
    'pgaudit.log',
    'pgaudit.log_parameter'
]);
