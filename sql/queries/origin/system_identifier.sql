-- Tell the server from every other one: made by initdb, kept by standbys and physical backups, of no dump.
SELECT system_identifier::text FROM pg_control_system();
