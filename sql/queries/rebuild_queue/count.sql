-- How many users and companies there are, deleted ones too.
SELECT
    (SELECT count(*) FROM identity.stack_user_profiles)
    + (SELECT count(*) FROM identity.companies) AS subjects;
