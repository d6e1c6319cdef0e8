"""Parameters that other clients of PostgreSQL take in a URL, and libpq refuses."""

import re

# From the documentation of each client. Names that libpq knows too are not here: those are kept. None of them decides
# whether a connection is encrypted or the server's certificate is checked: what does is translated or refused.
CLIENTS = {
    "Prisma": """
        schema connection_limit pool_timeout socket_timeout statement_cache_size pgbouncer sslaccept sslidentity
        single_use_connections max_connection_lifetime max_idle_connection_lifetime
    """,
    "node-postgres, postgres.js": """
        uselibpqcompat statement_timeout query_timeout lock_timeout idle_in_transaction_session_timeout max min
        max_lifetime idle_timeout idleTimeoutMillis connectionTimeoutMillis keepAlive keepAliveInitialDelayMillis
        maxUses allowExitOnIdle fetch_types prepare debug binary
    """,
    "SQLAlchemy, asyncpg, Django": """
        prepared_statement_cache_size prepared_statement_name_func async_fallback executemany_mode command_timeout
        max_cached_statement_lifetime max_cacheable_statement_size direct_tls timeout server_settings isolation_level
        pool_size max_overflow pool_recycle pool_pre_ping conn_max_age conn_health_checks disable_server_side_cursors
    """,
    "Rails, Ecto": """
        adapter pool prepared_statements statement_limit advisory_locks encoding reaping_frequency checkout_timeout
        schema_search_path min_messages insert_returning queue_target queue_interval
    """,
    "JDBC": """
        currentSchema ApplicationName prepareThreshold preparedStatementCacheQueries preparedStatementCacheSizeMiB
        preferQueryMode loginTimeout connectTimeout socketTimeout cancelSignalTimeout tcpKeepAlive tcpNoDelay
        reWriteBatchedInserts stringtype targetServerType loadBalanceHosts hostRecheckSeconds defaultRowFetchSize
        binaryTransfer binaryTransferEnable binaryTransferDisable readOnly readOnlyMode autosave cleanupSavepoints
        escapeSyntaxCallMode assumeMinServerVersion allowEncodingChanges logUnclosedConnections loggerLevel loggerFile
        logServerErrorDetail disableColumnSanitiser databaseMetadataCacheFields databaseMetadataCacheFieldsMiB
        unknownLength receiveBufferSize sendBufferSize maxSendBufferSize socketFactory socketFactoryArg sslfactory
        sslfactoryarg sslhostnameverifier sslpasswordcallback hideUnprivilegedObjects quoteReturningIdentifiers
        adaptiveFetch adaptiveFetchMinimum adaptiveFetchMaximum maxResultBuffer protocolVersion queryTimeout
        groupStartupParameters xmlFactoryFactory localSocketAddress jaasLogin jaasApplicationName kerberosServerName
        useSpnego sspiServiceClass
    """,
    "pgx, lib/pq, GORM, sqlx": """
        pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime pool_max_conn_lifetime_jitter
        pool_max_conn_idle_time pool_health_check_period default_query_exec_mode statement_cache_capacity
        statement_cache_mode description_cache_capacity prefer_simple_protocol binary_parameters
        disable_prepared_binary_result TimeZone search_path
    """,
    "Supabase, Vercel, YugabyteDB": "supa workaround load_balance topology_keys yb_servers_refresh_interval",
}


def _plain(name: str) -> str:
    """Return a name without what clients write differently."""
    return re.sub("[-_]", "", name).lower()


NAMES = frozenset(_plain(name) for names in CLIENTS.values() for name in names.split())


def is_of_client(name: str) -> bool:
    """Tell whether a client of PostgreSQL other than libpq takes this parameter, in any spelling."""
    return _plain(name) in NAMES
