//! Whom to trust of a store with a certificate of its own making.

use std::path::Path;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::fault::S3Error;

/// Certificates of those who vouch for a store, beside the system's own.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<u8>);

impl Authorities {
    /// Those in the PEM file.
    ///
    /// # Errors
    /// [`S3Error::Authorities`] when it can't be read, or holds none that can be used.
    pub fn read(file: &Path) -> Result<Self, S3Error> {
        let failed = |reason: String| S3Error::Authorities {
            file: file.display().to_string(),
            reason,
        };
        let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
        // The HTTP client takes them for good, and panics when they aren't.
        let mut good = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            good.add(certificate)
                .map_err(|error| failed(error.to_string()))?;
        }
        if good.is_empty() {
            return Err(failed("it has no certificate".to_owned()));
        }
        Ok(Self(pem))
    }

    /// The system's own and, where there are some, these.
    pub(crate) fn context(some: Option<&Self>) -> TlsContext {
        let store = some.map_or_else(TrustStore::default, |own| {
            TrustStore::default().with_pem_certificate(own.0.clone())
        });
        TlsContext::builder()
            .with_trust_store(store)
            .build()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_that_can_be_used_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (name, content, reason) in [
            ("missing.pem", None, "No such file"),
            ("empty.pem", Some(""), "no certificate"),
            ("broken.pem", Some(broken), ""),
        ] {
            let file = folder.path().join(name);
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = Authorities::read(&file).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }
}
