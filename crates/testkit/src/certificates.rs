//! A certificate authority of our own, and what it vouches for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// A CA, and a certificate of this machine's loopback names that it vouches for, as PEM files. Servers
/// show it to clients, and clients to servers that ask for one.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Whom to trust.
    pub ca: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, which only its owner can read.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes a new CA and a certificate in `folder`; those of before are written over. The CA's own
    /// key is kept nowhere.
    ///
    /// # Errors
    /// When they can't be made or written.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let failed = |error: rcgen::Error| io::Error::other(error);
        let ca_key = KeyPair::generate().map_err(failed)?;
        let mut ca = CertificateParams::new(Vec::new()).map_err(failed)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).map_err(failed)?;
        let key = KeyPair::generate().map_err(failed)?;
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &Issuer::new(ca, ca_key)))
            .map_err(failed)?;
        fs::create_dir_all(folder)?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            write_closed(&path, &text)?;
            Ok::<_, io::Error>(path)
        };
        Ok(Self {
            ca: write("ca.pem", ca_certificate.pem())?,
            certificate: write("cert.pem", certificate.pem())?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }
}

/// Puts `text` into the file, for its owner alone, whole or not at all.
pub fn write_closed(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Such a file is closed to others.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
