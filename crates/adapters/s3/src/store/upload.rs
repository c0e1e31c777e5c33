//! Objects that are written in parts.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use speakr_core::ports::archive::ArchiveError;

use super::Store;
use crate::fault::sort;

/// An object that is written in parts, each with its checksum.
pub(crate) struct Upload<'a> {
    pub(super) store: &'a Store,
    pub(super) key: String,
    pub(super) id: String,
    pub(super) parts: Vec<CompletedPart>,
}

impl Upload<'_> {
    /// Sends the next part.
    pub(crate) async fn part(&mut self, body: Vec<u8>) -> Result<(), ArchiveError> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let part = self
            .store
            .client
            .upload_part()
            .bucket(&self.store.bucket)
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(sort(&self.store.bucket))
            .map_err(|fault| fault.at("write", &self.store.place(&self.key)))?;
        self.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .set_checksum_sha256(part.checksum_sha256)
                .build(),
        );
        Ok(())
    }

    /// Puts the parts together: from now on the object is there, whole.
    pub(crate) async fn finish(self) -> Result<(), ArchiveError> {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts))
            .build();
        self.store
            .client
            .complete_multipart_upload()
            .bucket(&self.store.bucket)
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(parts)
            .send()
            .await
            .map(drop)
            .map_err(sort(&self.store.bucket))
            .map_err(|fault| fault.at("write", &self.store.place(&self.key)))
    }

    /// Throws the parts away. Best effort: a deletion of the recording does it too.
    pub(crate) async fn give_up(self) {
        if let Err(fault) = self.store.abort(&self.key, &self.id).await {
            tracing::warn!(?fault, key = self.key, "an upload's parts are left");
        }
    }
}
