-- Check every deferred constraint now instead of at the commit.
SET CONSTRAINTS ALL IMMEDIATE;
