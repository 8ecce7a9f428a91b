//! Lanes: the queues and workers that several destination types share.

use strum::IntoStaticStr;

/// A queue and its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// The lane for webhooks.
    Webhook,
    /// The lane for e-mail.
    Email,
    /// The lane for object storage.
    Storage,
    /// The lane for SFTP servers.
    Sftp,
    /// The lane for databases.
    Database,
}

impl Lane {
    /// Every lane, in the order of declaration.
    pub const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Email,
        Self::Storage,
        Self::Sftp,
        Self::Database,
    ];

    /// Returns the name of the lane in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the name of the lane in environment variables, such as `WEBHOOK_QUEUE_URL` and
    /// `WORKER_WEBHOOK_FUNCTION`.
    #[must_use]
    pub fn in_environment(self) -> &'static str {
        match self {
            Self::Webhook => "WEBHOOK",
            Self::Email => "EMAIL",
            Self::Storage => "STORAGE",
            Self::Sftp => "SFTP",
            Self::Database => "DATABASE",
        }
    }
}

/// A collection with one value for each lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerLane<T>([T; 5]);

impl<T> PerLane<T> {
    /// Creates the value of each lane with `make`.
    pub fn each(make: impl FnMut(Lane) -> T) -> Self {
        Self(Lane::ALL.map(make))
    }

    /// Returns the value of the lane.
    pub fn of(&self, lane: Lane) -> &T {
        &self.0[lane as usize]
    }

    /// Returns the lanes with their values.
    pub fn all(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().zip(&self.0)
    }
}
