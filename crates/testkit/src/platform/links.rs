//! The network between the services and what they stand on, for those who want to disturb it.

use crate::{nats::Nats, postgres::Postgres, process::StartError, proxy::Proxy, s3::S3};

/// The network between the services and what they stand on. Clients go without.
#[derive(Debug)]
pub struct Links {
    /// To the bus.
    pub nats: Proxy,
    /// To the database.
    pub postgres: Proxy,
    /// To the store.
    pub s3: Proxy,
}

impl Links {
    pub(super) fn to(nats: &Nats, postgres: &Postgres, s3: &S3) -> Result<Self, StartError> {
        let link = |port| {
            Proxy::to(port).map_err(|source| StartError::Start {
                program: "proxy",
                source,
            })
        };
        Ok(Self {
            nats: link(nats.port())?,
            postgres: link(postgres.port())?,
            s3: link(s3.port())?,
        })
    }

    /// All three.
    #[must_use]
    pub const fn all(&self) -> [&Proxy; 3] {
        [&self.nats, &self.postgres, &self.s3]
    }
}
