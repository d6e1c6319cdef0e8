-- Hear session/wake; behind a transaction pooler nothing is heard and polling does the work.
LISTEN consumer_wake;
