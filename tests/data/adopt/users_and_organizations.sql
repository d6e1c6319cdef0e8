-- An application that keys its people by id, has an enum of roles, wants an e-mail of everybody, and of nobody a company.
CREATE SCHEMA shape_b;
CREATE TYPE shape_b.user_role AS ENUM ('OWNER', 'ADMIN', 'MEMBER');
CREATE TABLE shape_b.organizations (
    id uuid PRIMARY KEY,
    "displayName" text NOT NULL,
    slug text NOT NULL DEFAULT gen_random_uuid()::text UNIQUE
);
CREATE TABLE shape_b."user" (
    id text PRIMARY KEY,
    number serial NOT NULL,
    "displayName" text,
    email text NOT NULL,
    role shape_b.user_role NOT NULL,
    "organizationId" uuid REFERENCES shape_b.organizations (id) ON DELETE SET NULL,
    is_active boolean NOT NULL DEFAULT TRUE,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX user_email ON shape_b."user" (lower(email));
CREATE TABLE shape_b.invoices (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL REFERENCES shape_b."user" (id)
);
CREATE FUNCTION shape_b.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON shape_b."user" FOR EACH ROW EXECUTE FUNCTION shape_b.touch();
ALTER TABLE shape_b."user" ENABLE ROW LEVEL SECURITY;
