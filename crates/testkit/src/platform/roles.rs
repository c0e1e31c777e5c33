//! Who is who in the database, as where the platform is deployed.

use crate::{
    postgres::Postgres,
    process::{StartError, secret},
};

/// What is deployed: the owner of the schema, and who reads and writes rows.
const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");

/// How each gets to the database.
#[derive(Debug)]
pub(super) struct Roles {
    /// For migrations.
    pub(super) owner_url: String,
    /// For the services.
    pub(super) app_url: String,
}

impl Roles {
    /// Makes them in database `name`, or gives them new passwords.
    ///
    /// # Errors
    /// [`StartError::NotReady`] with what the server said.
    pub(super) fn make(postgres: &Postgres, name: &str) -> Result<Self, StartError> {
        let (owner, app) = (secret(), secret());
        let passwords = [
            ("SPEAKR_OWNER_PASSWORD", owner.as_str()),
            ("SPEAKR_APP_PASSWORD", app.as_str()),
        ];
        postgres.run_script(name, ROLES, &passwords)?;
        Ok(Self {
            owner_url: postgres.url_of("speakr_owner", &owner, name),
            app_url: postgres.url_of("speakr_app", &app, name),
        })
    }
}
