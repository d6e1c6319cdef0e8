-- Listen for session/wake; behind a transaction pooler no notification arrives, and polling does the work.
LISTEN consumer_wake;
