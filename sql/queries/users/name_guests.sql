-- Copy the names of these guests from their profiles to their guest memberships, where a search finds them.
UPDATE identity.company_members AS b
SET search_name = p.search_name
FROM identity.profiles AS p
WHERE
    b.user_id = ANY(%(user_ids)b::uuid[])
    AND b.is_guest
    AND b.user_id = p.user_id
    AND b.search_name IS DISTINCT FROM p.search_name;
