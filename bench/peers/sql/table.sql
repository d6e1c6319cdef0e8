-- What every drain writes to: the profiles, and for the run that is killed one row for each event applied.
CREATE SCHEMA bench;

CREATE TABLE bench.profiles (
    user_id uuid PRIMARY KEY,
    full_name text NOT NULL,
    email text,
    avatar_url text,
    role_type text,
    department text,
    version bigint NOT NULL
);

CREATE TABLE bench.applied (
    event bigint NOT NULL
);

-- What every receiver of a peer writes to.
CREATE TABLE bench.inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL UNIQUE,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
