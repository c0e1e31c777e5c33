//! Why the bus didn't do what was asked.

/// Whatever a client library gives as a cause.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the bus didn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// A setting can't be used.
    #[error("{setting}: {reason}")]
    Config {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No server answers, or none lets us in.
    #[error("can't connect to NATS at {servers}")]
    Connect {
        /// Where it was tried, without user and password.
        servers: String,
        /// What the client said.
        #[source]
        cause: Cause,
    },
    /// A stream, consumer or bucket that is there isn't as it must be.
    #[error("{what} has {field} {is}, and must have {wanted}; change or delete it")]
    Mismatch {
        /// Which.
        what: String,
        /// Which part of its configuration.
        field: &'static str,
        /// What it is.
        is: String,
        /// What it must be.
        wanted: String,
    },
    /// A stream, consumer or bucket can't be made, read or changed.
    #[error("can't {action} {what}")]
    Server {
        /// What was tried.
        action: &'static str,
        /// With which stream, consumer, bucket or subject.
        what: String,
        /// What the server said.
        #[source]
        cause: Cause,
    },
    /// The server won't set aside as much room as the stream may take.
    #[error(
        "the NATS server has no room for the stream {stream} of up to {max_mib} MiB; set \
         jetstream.max_file_store of the server (without it, it takes 75 % of what is free on the \
         disk when it starts), or let the streams be smaller"
    )]
    NoRoom {
        /// Which stream.
        stream: String,
        /// Most that it may hold, in MiB.
        max_mib: i64,
    },
    /// The stream takes no more messages for now.
    #[error("{subject} takes no more messages for now: its stream is full")]
    Full {
        /// Where it was sent to.
        subject: String,
    },
    /// The message is larger than the server takes.
    #[error("a message of {bytes} bytes for {subject} is larger than the server takes")]
    TooLarge {
        /// Where it was sent to.
        subject: String,
        /// Its size.
        bytes: usize,
    },
    /// The message can't be written as JSON.
    #[error("can't write the message for {subject}")]
    Encode {
        /// Where it was to be sent to.
        subject: &'static str,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A backup's file or folder can't be used.
    #[error("can't {action} {}", path.display())]
    Backup {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A backup doesn't go where there is something already.
    #[error("the stream {stream} holds {messages} messages, and a backup doesn't replace them")]
    NotEmpty {
        /// Which stream.
        stream: String,
        /// How many.
        messages: u64,
    },
    /// A dead letter that is without its message isn't sent again.
    #[error(
        "dead letter {sequence} is without its message of {bytes} bytes, which didn't fit into it: there \
         is nothing to send again; discard it"
    )]
    Emptied {
        /// Its number.
        sequence: u64,
        /// Size of the message.
        bytes: usize,
    },
    /// Sound that can't be put together.
    #[error("the sound of recording {recording_id} can't be put together")]
    Sound {
        /// Which recording.
        recording_id: uuid::Uuid,
        /// Why.
        #[source]
        cause: speakr_contract::audio::ChunkError,
    },
}

impl BusError {
    /// A failure of the server, on its way to becoming one of ours.
    pub(crate) fn server<E: Into<Cause>>(
        action: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |cause| Self::Server {
            action,
            what,
            cause: cause.into(),
        }
    }
}

impl From<BusError> for speakr_core::ports::platform::BusFailure {
    fn from(error: BusError) -> Self {
        Self(error.into())
    }
}
