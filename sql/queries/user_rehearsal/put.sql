-- Make up a user with a company, for the rest of a transaction that is rolled back.
WITH company AS (
    INSERT INTO identity.companies (id, name)
    VALUES (%(user_id)b::uuid, 'Rehearsal')
    RETURNING id
),

mirror AS (
    INSERT INTO identity.stack_user_profiles (stack_user_id, company_id, has_profile)
    SELECT
        %(user_id)b::uuid,
        id,
        TRUE
    FROM company
    RETURNING
        stack_user_id,
        company_id
)

INSERT INTO identity.profiles (user_id, company_id, full_name, email, email_verified, role_type, department)
SELECT
    m.stack_user_id,
    m.company_id,
    'Rehearsal',
    m.stack_user_id || '@no-email.invalid',
    FALSE,
    s.default_role,
    s.default_department
FROM mirror AS m
CROSS JOIN consumer.settings AS s;
