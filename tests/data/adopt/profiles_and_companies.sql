-- An application that keys its people by user_id, has no e-mail, and wants a department of everybody.
CREATE SCHEMA shape_a;
CREATE TABLE shape_a.companies (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    plan text NOT NULL DEFAULT 'free'
);
CREATE TABLE shape_a.profiles (
    user_id uuid PRIMARY KEY,
    company_id uuid REFERENCES shape_a.companies (id),
    full_name varchar(40),
    role_type text NOT NULL DEFAULT 'member',
    department text NOT NULL CONSTRAINT no_secrets CHECK (department <> 'Secret'),
    locale text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shape_a.orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES shape_a.profiles (user_id)
);
CREATE FUNCTION shape_a.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON shape_a.profiles FOR EACH ROW EXECUTE FUNCTION shape_a.touch();
