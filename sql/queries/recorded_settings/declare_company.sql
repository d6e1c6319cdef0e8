-- Store the delivery that declares the default company, once per company; return no row if it is stored already.
INSERT INTO consumer.outbox (source, message_id, event_type, team_id, occurred_at, body)
VALUES (
    'operator',
    'company.declared:' || %(company_id)b::uuid,
    'company.declared',
    %(company_id)b::uuid,
    now(),
    convert_to(
        jsonb_build_object('type', 'company.declared', 'data', jsonb_build_object('id', %(company_id)b::uuid))::text,
        'UTF8'
    )
)
ON CONFLICT (source, message_id) DO NOTHING
RETURNING seq, source, message_id, event_type, user_id, team_id;
