//! The platform as it runs in production: the real services on a real bus with the shipped users,
//! a real store and a real database.

mod links;
mod role;
mod roles;
mod surroundings;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub use links::Links;
pub use role::Role;

use crate::{
    certificates::Certificates,
    nats::Nats,
    postgres::Postgres,
    process::{Folder, StartError, secret},
    proxy::Proxy,
    s3::S3,
    service::ServiceProcess,
};
use roles::Roles;
use surroundings::{Surroundings, output_of, port};

/// The name of the database.
pub const DATABASE: &str = "speakr";

/// How many servers a cluster has.
const CLUSTER: usize = 3;

/// The users of the shipped config of the bus.
const USERS: [&str; 5] = ["transcriber", "embedder", "query_svc", "cli", "operator"];

/// Loading a model on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a service may take to end in order.
#[cfg(unix)]
const ENDING: Duration = Duration::from_secs(40);

/// The shipped config of the bus. A build that is installed names where it lies then; else it is that of
/// the checkout.
const BUS_CONFIG: &str = match option_env!("SPEAKR_BUS_CONFIG") {
    Some(installed) => installed,
    None => concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/nats/nats-server.conf"
    ),
};

/// How the platform is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// More settings for every service, by the names of environment variables.
    pub settings: Vec<(String, String)>,
    /// Where everything is kept; scratch folders where it is none.
    pub data: Option<PathBuf>,
    /// Whether the services reach the bus, the store and the database by [`Links`].
    pub with_links: bool,
    /// Whether the bus is encrypted, with a certificate authority of its own.
    pub with_tls: bool,
    /// Whether the bus is a cluster of three, which keep everything together. Not encrypted, and in
    /// scratch folders.
    pub with_cluster: bool,
    /// Most bytes that the store has room for ([`S3::start_small`]); all of the disk where it is none.
    pub store_room: Option<u64>,
    /// The folder of the services' programs, as those of another release; those of this workspace where
    /// it is none. The schema is that of this workspace in any case.
    pub programs: Option<PathBuf>,
}

/// Everything, running.
#[derive(Debug)]
pub struct Platform {
    /// Makes text of sound.
    pub transcriber: ServiceProcess,
    /// Makes text findable.
    pub embedder: ServiceProcess,
    /// Answers over HTTP.
    pub query_svc: ServiceProcess,
    /// The bus.
    pub nats: Nats,
    /// The other servers of the bus, where it is a cluster.
    pub other_nats: Vec<Nats>,
    /// The database.
    pub postgres: Postgres,
    /// The store of record.
    pub s3: S3,
    /// What is between them and the services, where that was asked for.
    pub links: Option<Links>,
    surroundings: Surroundings,
}

impl Platform {
    /// Starts all of it and waits until every service says that it is ready.
    ///
    /// # Errors
    /// [`StartError`] of the first part that doesn't start; what had started is ended.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let data = options.data.as_deref();
        let folder_of = |name: &'static str| {
            Folder::of(data, name).map_err(|source| StartError::Start {
                program: name,
                source,
            })
        };
        let passwords: Vec<_> = USERS.iter().map(|user| (*user, secret())).collect();
        let environment: Vec<_> = passwords
            .iter()
            .map(|(user, password)| {
                let name = format!("SPEAKR_NATS_{}_PASSWORD", user.to_uppercase());
                (name, password.clone())
            })
            .collect();
        let bus_folder = folder_of("nats-server")?;
        let certificates = options
            .with_tls
            .then(|| Certificates::make(&bus_folder.path().join("tls")))
            .transpose()
            .map_err(|source| StartError::Start {
                program: "nats-server",
                source,
            })?;
        let shipped = Path::new(BUS_CONFIG);
        let mut other_nats = Vec::new();
        let nats = match &certificates {
            None if options.with_cluster => {
                let mut servers = Nats::start_shipped_cluster(CLUSTER, shipped, &environment)?;
                other_nats = servers.split_off(1);
                servers.remove(0)
            }
            None => Nats::start_shipped_in(bus_folder, shipped, environment)?,
            Some(own) => Nats::start_shipped_tls(bus_folder, shipped, environment, own)?,
        };
        let postgres = Postgres::start_in(folder_of("postgres")?)?;
        if !postgres.has_database(DATABASE)? {
            postgres.create_database(DATABASE)?;
        }
        let roles = Roles::make(&postgres, DATABASE)?;
        let s3 = match options.store_room {
            None => S3::start_in(folder_of("s3")?)?,
            Some(bytes) => S3::start_small(bytes)?,
        };
        let links = options
            .with_links
            .then(|| Links::to(&nats, &postgres, &s3))
            .transpose()?;
        let mut own = vec![
            ("NATS_URL", url_of(&nats, &other_nats)),
            ("S3_ENDPOINT", s3.endpoint()),
            ("DATABASE_URL", roles.app_url.clone()),
        ];
        if let Some(links) = &links {
            let by = |url: &str, port: u16, link: &Proxy| {
                url.replace(&format!(":{port}"), &format!(":{}", link.port()))
            };
            own = vec![
                ("NATS_URL", by(&nats.url(), nats.port(), &links.nats)),
                ("S3_ENDPOINT", by(&s3.endpoint(), s3.port(), &links.s3)),
                (
                    "DATABASE_URL",
                    by(&roles.app_url, postgres.port(), &links.postgres),
                ),
            ];
        }
        let ca = certificates.map(|own| own.ca);
        own.extend(ca.iter().map(|ca| ("NATS_CA", ca.display().to_string())));
        if options.with_cluster {
            own.push(("SPEAKR_STREAM_REPLICAS", CLUSTER.to_string()));
        }
        let mut surroundings = Surroundings::new(options, passwords, own, &s3, ca)?;
        let mut migrate = surroundings.command(Role::Embedder, None);
        migrate.env("DATABASE_URL", &roles.owner_url).arg("migrate");
        output_of(Role::Embedder.program(), &mut migrate)?;
        surroundings.programs.clone_from(&options.programs);
        let mut services = Vec::new();
        for role in Role::ALL {
            services.push(surroundings.service(role, &[])?);
        }
        for service in &mut services {
            service.wait_until_ready(PATIENCE)?;
        }
        let mut services = services.into_iter();
        let mut next = || {
            services
                .next()
                .ok_or(StartError::NotInstalled { program: "speakr" })
        };
        Ok(Self {
            transcriber: next()?,
            embedder: next()?,
            query_svc: next()?,
            nats,
            other_nats,
            postgres,
            s3,
            links,
            surroundings,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.surroundings.api_port)
    }

    /// Where the bus is: all of its servers.
    #[must_use]
    pub fn nats_url(&self) -> String {
        url_of(&self.nats, &self.other_nats)
    }

    /// Whom to trust of the bus, where it is encrypted.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.surroundings.ca.as_deref()
    }

    /// The password of `user` on the bus.
    #[must_use]
    pub fn password(&self, user: &str) -> &str {
        self.surroundings.password(user)
    }

    /// What a client needs to use this platform with `token`, and an operator to look at it, by the
    /// names of environment variables.
    #[must_use]
    pub fn environment(&self, token: &str) -> Vec<(&'static str, String)> {
        let health = |of: &ServiceProcess| format!("http://127.0.0.1:{}/health", of.health_port());
        let mut environment = vec![
            ("NATS_URL", self.nats_url()),
            ("NATS_USER", "cli".to_owned()),
            ("NATS_PASSWORD", self.password("cli").to_owned()),
            ("NATS_INBOX_PREFIX", "_INBOX_cli".to_owned()),
            ("SPEAKR_API_URL", self.url()),
            ("SPEAKR_API_TOKEN", token.to_owned()),
            ("S3_ENDPOINT", self.s3.endpoint()),
            ("S3_BUCKET", S3::BUCKET.to_owned()),
            ("S3_REGION", S3::REGION.to_owned()),
            ("S3_PATH_STYLE", "true".to_owned()),
            ("S3_ACCESS_KEY_ID", self.s3.access_key().to_owned()),
            ("S3_SECRET_ACCESS_KEY", self.s3.secret_key().to_owned()),
            ("DATABASE_URL", self.postgres.url(DATABASE)),
            (
                "SPEAKR_NATS_OPERATOR_PASSWORD",
                self.password("operator").to_owned(),
            ),
            ("SPEAKR_TRANSCRIBER_HEALTH", health(&self.transcriber)),
            ("SPEAKR_EMBEDDER_HEALTH", health(&self.embedder)),
            ("SPEAKR_QUERY_SVC_HEALTH", health(&self.query_svc)),
        ];
        if let Some(ca) = &self.surroundings.ca {
            environment.push(("NATS_CA", ca.display().to_string()));
        }
        if let Some(url) = self.nats.websocket_url() {
            environment.push(("NATS_WEBSOCKET_URL", url));
        }
        environment
    }

    /// The service of this role that runs.
    pub const fn service_mut(&mut self, role: Role) -> &mut ServiceProcess {
        match role {
            Role::Transcriber => &mut self.transcriber,
            Role::Embedder => &mut self.embedder,
            Role::QuerySvc => &mut self.query_svc,
        }
    }

    /// Starts services again that have died; gives their names. They may not be ready yet.
    ///
    /// # Errors
    /// [`StartError`] of the first that can't be started.
    pub fn revive(&mut self) -> Result<Vec<&'static str>, StartError> {
        let mut revived = Vec::new();
        for role in Role::ALL {
            let service = self.service_mut(role);
            if service.ended().is_some() {
                let port = service.health_port();
                *self.service_mut(role) = self.surroundings.service_on(role, port, &[], None)?;
                revived.push(role.program());
            }
        }
        Ok(revived)
    }

    /// Starts servers again that have died, on their ports and with what they had stored; gives
    /// their names.
    ///
    /// # Errors
    /// [`StartError`] of the first that can't be started.
    pub fn revive_servers(&mut self) -> Result<Vec<&'static str>, StartError> {
        let mut revived = Vec::new();
        for nats in std::iter::once(&mut self.nats).chain(&mut self.other_nats) {
            if nats.has_ended() {
                nats.start_again()?;
                revived.push("nats-server");
            }
        }
        if self.postgres.has_ended() {
            self.postgres.start_again()?;
            revived.push("postgres");
        }
        if self.s3.has_ended() {
            self.s3.start_again()?;
            revived.push("the S3 server");
        }
        Ok(revived)
    }

    /// Kills a service and starts it again, with more settings; waits until it is ready.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self, role: Role, settings: &[(&str, &str)]) -> Result<(), StartError> {
        let service = self.service_mut(role);
        service.kill();
        let port = service.health_port();
        let mut service = self.surroundings.service_on(role, port, settings, None)?;
        service.wait_until_ready(PATIENCE)?;
        *self.service_mut(role) = service;
        Ok(())
    }

    /// Whatever is started from now on is of this folder of programs; of this workspace where it is none.
    pub fn use_programs(&mut self, folder: Option<&Path>) {
        self.surroundings.programs = folder.map(Path::to_owned);
    }

    /// One more transcriber, with more settings; on one processor alone where `cpu` names it. It
    /// isn't looked after: [`Platform::revive`] doesn't know it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn another_transcriber(
        &self,
        settings: &[(&str, &str)],
        cpu: Option<usize>,
    ) -> Result<ServiceProcess, StartError> {
        let port = port()?;
        let role = Role::Transcriber;
        let mut service = self.surroundings.service_on(role, port, settings, cpu)?;
        service.wait_until_ready(PATIENCE)?;
        Ok(service)
    }

    /// The program of `role` with its settings, for whoever wants to watch it or end it.
    #[must_use]
    pub fn command(&self, role: Role) -> Command {
        self.surroundings.command(role, None)
    }

    /// Runs the program of `role` with `arguments`; gives what it printed.
    ///
    /// # Errors
    /// [`StartError::NotReady`] with what it said when it fails.
    pub fn run(&self, role: Role, arguments: &[&str]) -> Result<String, StartError> {
        self.surroundings.run(role, arguments)
    }

    /// The same, as another user of the bus.
    ///
    /// # Errors
    /// As [`Platform::run`].
    pub fn run_as(&self, user: &str, role: Role, arguments: &[&str]) -> Result<String, StartError> {
        let mut command = self.surroundings.command(role, None);
        command
            .env("NATS_USER", user)
            .env("NATS_PASSWORD", self.password(user));
        output_of(role.program(), command.args(arguments))
    }

    /// A new token of the API, called `name`, that allows `scopes`, as in `read,write`.
    ///
    /// # Errors
    /// [`StartError::NotReady`].
    pub fn new_token(&self, name: &str, scopes: &str) -> Result<String, StartError> {
        let arguments = ["token", "create", "--name", name, "--scopes", scopes];
        let said = self.run(Role::QuerySvc, &arguments)?;
        Ok(said.trim().to_owned())
    }

    /// Ends everything in order: the services first, which finish or hand back what is under way.
    #[cfg(unix)]
    pub fn end(&mut self) {
        for role in Role::ALL {
            let _ = self.service_mut(role).end(ENDING);
        }
        for nats in std::iter::once(&mut self.nats).chain(&mut self.other_nats) {
            nats.end();
        }
        self.postgres.end();
        self.s3.end();
    }
}

fn url_of(nats: &Nats, others: &[Nats]) -> String {
    let all = std::iter::once(nats).chain(others);
    all.map(Nats::url).collect::<Vec<_>>().join(",")
}
