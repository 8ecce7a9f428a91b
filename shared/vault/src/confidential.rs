//! Collects the secrets that one piece of work has opened, so that texts from outside can be
//! searched for them.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

tokio::task_local! {
    static OPENED: Confidential;
}

/// Collects every secret that is opened while a future runs. Cloning it is cheap; clones share the
/// secrets.
#[derive(Clone, Default)]
pub struct Confidential(Arc<Mutex<Vec<SecretString>>>);

impl Confidential {
    /// Runs `work` and collects each secret that [`Vault`](crate::Vault) opens or
    /// [`Confidential::add`] is called with during that time. Tasks that `work` spawns are not
    /// covered.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        OPENED.scope(self.clone(), work).await
    }

    /// Adds a secret that the vault does not know, such as an access token, to the current work.
    /// Does nothing outside [`Confidential::during`].
    pub fn add(secret: &SecretString) {
        OPENED.try_with(|opened| opened.push(secret)).unwrap_or(());
    }

    /// Returns the collection of the current work, for other work that uses the same secrets.
    #[must_use]
    pub fn current() -> Self {
        OPENED.try_with(Self::clone).unwrap_or_default()
    }

    /// Adds everything that `earlier` collected to the current work, for connections that earlier
    /// work opened.
    pub fn extend(earlier: &Self) {
        let current = Self::current();
        if !Arc::ptr_eq(&current.0, &earlier.0) {
            earlier
                .secrets()
                .iter()
                .for_each(|secret| current.push(secret));
        }
    }

    /// Returns the secrets collected so far.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretString> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn push(&self, secret: &SecretString) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets
            .iter()
            .all(|known| known.expose_secret() != secret.expose_secret())
        {
            secrets.push(secret.clone());
        }
    }
}

impl std::fmt::Debug for Confidential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confidential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(confidential: &Confidential) -> Vec<String> {
        confidential
            .secrets()
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn work_collects_its_own_secrets_once_each() {
        let (first, second) = (Confidential::default(), Confidential::default());
        first
            .during(async {
                Confidential::add(&"a".into());
                Confidential::add(&"a".into());
                second
                    .during(async { Confidential::add(&"b".into()) })
                    .await;
            })
            .await;
        Confidential::add(&"c".into());
        assert_eq!(
            (texts(&first), texts(&second)),
            (vec!["a".to_owned()], vec!["b".to_owned()])
        );
    }

    #[tokio::test]
    async fn later_work_on_the_same_connection_knows_what_the_earlier_opened() {
        let (earlier, later) = (Confidential::default(), Confidential::default());
        let of_the_connection = earlier.during(async {
            Confidential::add(&"a".into());
            Confidential::current()
        });
        let of_the_connection = of_the_connection.await;
        later
            .during(async { Confidential::extend(&of_the_connection) })
            .await;
        assert_eq!(texts(&later), ["a"]);
    }
}
