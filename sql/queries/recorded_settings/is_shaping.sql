-- Whether any user was shaped by the recorded settings.
SELECT exists(SELECT FROM identity.stack_user_profiles) AS is_shaping;
