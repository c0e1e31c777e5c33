-- The roles of the database: run as its master, before the first migration and again after it.
--
--   psql --set ON_ERROR_STOP=1 --file roles.sql
--     --set owner_password=… --set embedder_password=… --set query_svc_password=…
--
-- speakr_migrate owns the schema and is used by the migration alone. The services own nothing of it:
-- they read and write rows. Running this again changes nothing but the passwords.

\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', name)
FROM unnest(ARRAY['speakr_migrate', 'speakr_embedder', 'speakr_query_svc']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- Owns the one table whose indexes a service has to make: one a model of embeddings, when its first
-- vector comes. PostgreSQL lets nobody else than a table's owner do that.
SELECT 'CREATE ROLE speakr_vectors NOLOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'speakr_vectors')
\gexec

ALTER ROLE speakr_migrate PASSWORD :'owner_password';
ALTER ROLE speakr_embedder PASSWORD :'embedder_password' CONNECTION LIMIT 100;
ALTER ROLE speakr_query_svc PASSWORD :'query_svc_password' CONNECTION LIMIT 200;
GRANT speakr_vectors TO speakr_migrate, speakr_embedder;
-- The master of RDS is no superuser: it has to belong to whom it gives something.
GRANT speakr_migrate, speakr_vectors TO CURRENT_USER;

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
\gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO speakr_migrate, speakr_embedder, speakr_query_svc', current_database())
\gexec
-- The migration makes its schema where there is none.
SELECT format('GRANT CREATE ON DATABASE %I TO speakr_migrate', current_database())
\gexec

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS speakr AUTHORIZATION speakr_migrate;
GRANT USAGE ON SCHEMA speakr TO speakr_embedder, speakr_query_svc;
-- An index needs a place in the schema.
GRANT USAGE, CREATE ON SCHEMA speakr TO speakr_vectors;

-- Tables that are there, and those that later migrations make.
SET ROLE speakr_migrate;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA speakr TO speakr_embedder, speakr_query_svc;
ALTER DEFAULT PRIVILEGES IN SCHEMA speakr
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO speakr_embedder, speakr_query_svc;

SELECT to_regclass('speakr.meta') IS NOT NULL AS migrated
\gset
\if :migrated
    -- What the schema is, is said by migrations alone; tokens are none of the embedder's business.
    REVOKE INSERT, UPDATE, DELETE ON speakr.meta FROM speakr_embedder, speakr_query_svc;
    REVOKE ALL ON speakr.tokens FROM speakr_embedder;
    GRANT SELECT, INSERT, UPDATE, DELETE ON speakr.vectors TO speakr_query_svc;
    ALTER TABLE speakr.vectors OWNER TO speakr_vectors;
\else
    \echo 'There is no table yet: run the migration, and then this again.'
\endif
RESET ROLE;
