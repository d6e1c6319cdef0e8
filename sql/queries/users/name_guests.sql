-- Copy the names of these guests from their profiles to their guest memberships, where a search finds them. Who is made
-- anew may have a profile that no delivery tells of any more and that is removed afterwards: such a guest has no name.
UPDATE identity.company_members AS b
SET search_name = p.search_name
FROM identity.stack_user_profiles AS m
LEFT JOIN identity.profiles AS p ON m.stack_user_id = p.user_id AND m.has_profile
WHERE
    m.stack_user_id = ANY(%(user_ids)b::uuid[])
    AND b.user_id = m.stack_user_id
    AND b.is_guest
    AND b.search_name IS DISTINCT FROM p.search_name;
