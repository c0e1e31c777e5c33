-- Who may do what in the database. Run as its administrator, with psql, on the database of the platform;
-- run again, it changes passwords alone. Also for a managed database (docs/deployment.md).
--
--   speakr_owner  owns the schema: migrations
--   speakr_app    reads and writes rows, and can change nothing else: embedder and query_svc. The index of a
--                 new model's vectors is made by a function that the owner lends them
\set ON_ERROR_STOP on
SET client_min_messages TO warning;
\getenv owner_password SPEAKR_OWNER_PASSWORD
\getenv app_password SPEAKR_APP_PASSWORD

-- It may need more rights than an owner has.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

SELECT format('CREATE ROLE %I', role)
  FROM unnest(ARRAY['speakr_owner', 'speakr_app']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

ALTER ROLE speakr_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE speakr_app LOGIN PASSWORD :'app_password';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CONNECT, CREATE ON DATABASE :"DBNAME" TO speakr_owner;
GRANT CONNECT ON DATABASE :"DBNAME" TO speakr_app;

-- The administrator of a managed database is no superuser: to make something for another role it has to
-- be a member of it.
GRANT speakr_owner TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS speakr AUTHORIZATION speakr_owner;
-- What another had made before there were these roles becomes the owner's.
SELECT format('ALTER SCHEMA %I OWNER TO speakr_owner', nspname)
  FROM pg_namespace
 WHERE nspname = 'speakr' AND nspowner <> 'speakr_owner'::regrole
UNION ALL
SELECT format('ALTER TABLE %s OWNER TO speakr_owner', oid::regclass)
  FROM pg_class
 WHERE relnamespace = 'speakr'::regnamespace AND relkind = 'r' AND relowner <> 'speakr_owner'::regrole
UNION ALL
SELECT format('ALTER FUNCTION %s OWNER TO speakr_owner', oid::regprocedure)
  FROM pg_proc
 WHERE pronamespace = 'speakr'::regnamespace AND proowner <> 'speakr_owner'::regrole
\gexec
GRANT USAGE ON SCHEMA speakr TO speakr_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA speakr TO speakr_app;
ALTER DEFAULT PRIVILEGES FOR ROLE speakr_owner IN SCHEMA speakr
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO speakr_app;
