-- An application made by Prisma: camel case, ids as text, and times that Prisma's client fills in, not the database.
CREATE SCHEMA shape_c;
CREATE TYPE shape_c."Role" AS ENUM ('USER', 'ADMIN');
CREATE TABLE shape_c."Organization" (
    id text PRIMARY KEY,
    name text NOT NULL,
    "logoUrl" text,
    "updatedAt" timestamp(3) NOT NULL
);
CREATE TABLE shape_c."User" (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    "emailVerified" boolean NOT NULL,
    image text,
    role shape_c."Role" NOT NULL DEFAULT 'USER',
    "organizationId" text REFERENCES shape_c."Organization" (id) ON DELETE SET NULL ON UPDATE CASCADE,
    "deletedAt" timestamp(3),
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL
);
