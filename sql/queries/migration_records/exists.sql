-- Whether the table of the records is there.
SELECT to_regclass('consumer._yoyo_record') IS NOT NULL AS is_there;
