-- Record the settings that shape rows from now on.
INSERT INTO consumer.settings (
    default_company_id, default_role, default_department, role_key, department_key, company_key, delete_policy
)
VALUES (
    %(default_company_id)b::uuid,
    %(default_role)b::text,
    %(default_department)b::text,
    %(role_key)b::text,
    %(department_key)b::text,
    %(company_key)b::text,
    %(delete_policy)b::text
)
ON CONFLICT (id) DO UPDATE SET
    default_company_id = excluded.default_company_id,
    default_role = excluded.default_role,
    default_department = excluded.default_department,
    role_key = excluded.role_key,
    department_key = excluded.department_key,
    company_key = excluded.company_key,
    delete_policy = excluded.delete_policy,
    recorded_at = excluded.recorded_at;
