-- Whether any user is erased. Most installations have none, and a list of users costs a batch more than this.
SELECT exists(
    SELECT FROM identity.stack_user_profiles AS m
    WHERE m.is_erased
);
