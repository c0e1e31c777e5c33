//! The store's errors as the archive's, with bucket and object named.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use speakr_core::ports::archive::ArchiveError;

/// What the store answered.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// There is no such bucket.
    #[error("there is no bucket \"{bucket}\"")]
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The credentials don't allow it, or aren't the store's.
    #[error("the bucket \"{bucket}\" refuses these credentials ({code})")]
    Forbidden {
        /// Its name.
        bucket: String,
        /// What the store calls it ("AccessDenied", "InvalidAccessKeyId", …).
        code: String,
    },
    /// Whom to trust can't be read.
    #[error("the certificates of {file} can't be used: {reason}")]
    Authorities {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// It doesn't look whether an object is still as it was read before it writes over it.
    #[error(
        "the store of bucket \"{bucket}\" doesn't write on a condition (If-Match), so of two changes \
         at once one could be lost: speakr needs a store that does"
    )]
    NoConditions {
        /// The bucket's name.
        bucket: String,
    },
    /// Others were faster, again and again.
    #[error("others change it all the time; try it again")]
    Contended,
    /// Anything else: no connection, no credentials, the store's own failure.
    #[error("bucket \"{bucket}\": {message}")]
    Store {
        /// Its name.
        bucket: String,
        /// What the store or the connection said.
        message: String,
    },
}

/// What became of a request, before the object is named.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No such object.
    Missing,
    /// A condition on the write didn't hold.
    Precondition,
    /// Another writes the same object at this moment.
    Conflict,
    /// The operation isn't known to the store.
    Unknown,
    /// No room.
    Full,
    /// The rest.
    Other(S3Error),
}

/// Sorts what a request on `bucket` came back with.
pub(crate) fn sort<E>(bucket: &str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let bucket = bucket.to_owned();
    move |error| {
        let status = error.raw_response().map(|r| r.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        match (status, code.as_str()) {
            (_, "NoSuchBucket") => Fault::Other(S3Error::NoBucket { bucket }),
            (_, "QuotaExceeded" | "XMinioStorageFull" | "StorageFull") | (Some(507), _) => {
                Fault::Full
            }
            (_, "NotImplemented") | (Some(501), _) => Fault::Unknown,
            (Some(404), _) => Fault::Missing,
            (Some(412), _) => Fault::Precondition,
            (Some(409), "ConditionalRequestConflict" | "OperationAborted") => Fault::Conflict,
            (Some(401 | 403), _) => Fault::Other(S3Error::Forbidden {
                bucket,
                code: if code.is_empty() {
                    "AccessDenied".to_owned()
                } else {
                    code
                },
            }),
            _ => Fault::Other(S3Error::Store {
                bucket,
                message: DisplayErrorContext(&error).to_string(),
            }),
        }
    }
}

impl Fault {
    /// The archive's error for it, met while trying to `action` `place`.
    pub(crate) fn at(self, action: &'static str, place: &str) -> ArchiveError {
        let cause = match self {
            Self::Full => {
                return ArchiveError::Full {
                    place: place.to_owned(),
                };
            }
            Self::Other(error) => error.into(),
            Self::Precondition => {
                return ArchiveError::Taken {
                    place: place.to_owned(),
                };
            }
            Self::Conflict => S3Error::Contended.into(),
            Self::Missing => "it isn't there".into(),
            Self::Unknown => "the store doesn't know how".into(),
        };
        ArchiveError::Io {
            action,
            place: place.to_owned(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        error::ErrorMetadata, operation::put_object::PutObjectError, primitives::SdkBody,
    };

    use super::*;

    fn answered(status: u16, code: &str) -> Fault {
        let error = PutObjectError::generic(ErrorMetadata::builder().code(code).build());
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        sort("speakr")(SdkError::service_error(error, response))
    }

    #[test]
    fn each_way_to_say_that_there_is_no_room_is_understood() {
        for (status, code) in [
            (507, "InsufficientStorage"),
            (403, "QuotaExceeded"),
            (507, "XMinioStorageFull"),
        ] {
            let fault = answered(status, code);
            assert!(matches!(fault, Fault::Full), "{code}: {fault:?}");
            let error = fault.at("write", "s3://speakr/a");
            assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
        }
    }

    #[test]
    fn what_another_wrote_first_is_told_from_damage_and_from_a_store_that_is_away() {
        let error = answered(412, "PreconditionFailed").at("write", "s3://speakr/a");
        assert!(matches!(error, ArchiveError::Taken { .. }), "{error:?}");
    }

    #[test]
    fn a_refusal_names_the_bucket_and_what_the_store_calls_it() {
        let Fault::Other(error) = answered(403, "AccessDenied") else {
            panic!("no refusal");
        };
        assert_eq!(
            error.to_string(),
            "the bucket \"speakr\" refuses these credentials (AccessDenied)"
        );
    }
}
