//! Lanes: the queue and the worker that destination types share.

use strum::IntoStaticStr;

/// A queue with its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// Webhooks.
    Webhook,
    /// E-mail.
    Email,
    /// Object storage.
    Storage,
    /// SFTP servers.
    Sftp,
    /// Databases.
    Database,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 5] = [
        Self::Webhook,
        Self::Email,
        Self::Storage,
        Self::Sftp,
        Self::Database,
    ];

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// In variables of the environment: `WEBHOOK_QUEUE_URL`, `WORKER_WEBHOOK_FUNCTION`.
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

/// Something that each lane has one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerLane<T>([T; 5]);

impl<T> PerLane<T> {
    /// Makes one for each.
    pub fn each(make: impl FnMut(Lane) -> T) -> Self {
        Self(Lane::ALL.map(make))
    }

    /// The lane's own.
    pub fn of(&self, lane: Lane) -> &T {
        &self.0[lane as usize]
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().zip(&self.0)
    }
}
