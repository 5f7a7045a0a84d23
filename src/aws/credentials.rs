//! Credentials, kept until shortly before they expire, and forgotten when X-Ray says that they are bad.

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::identity::Identity;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Longest time one search for credentials may take.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// After a renewal failed, the old credentials are used this long before the next try.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// A credentials provider that remembers.
#[derive(Debug, Clone)]
pub(super) struct CachedCredentials(Arc<State>);

#[derive(Debug)]
struct State {
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<Kept>>,
    /// Held while searching, so that a hundred requests ask the metadata service once.
    searching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Kept {
    credentials: Credentials,
    identity: Identity,
    renew_at: Option<SystemTime>,
}

impl CachedCredentials {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self(Arc::new(State { provider, kept: Mutex::default(), searching: tokio::sync::Mutex::default() }))
    }

    /// Credentials in the form the signer takes.
    pub(super) async fn identity(&self) -> Result<Identity, String> {
        self.get().await.map(|kept| kept.identity)
    }

    /// Forgets what is kept: X-Ray does not take it.
    pub(super) fn forget(&self) {
        *self.kept() = None;
    }

    async fn get(&self) -> Result<Kept, String> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let _searching = self.0.searching.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        match self.search().await {
            Ok(credentials) => {
                let kept = Kept {
                    identity: Identity::from(credentials.clone()),
                    renew_at: credentials.expiry().map(|expiry| expiry - RENEW_BEFORE),
                    credentials,
                };
                *self.kept() = Some(kept.clone());
                Ok(kept)
            }
            Err(error) => self.old_ones().ok_or(error),
        }
    }

    fn fresh(&self) -> Option<Kept> {
        let now = SystemTime::now();
        self.kept().clone().filter(|kept| kept.renew_at.is_none_or(|at| now < at))
    }

    /// Credentials that could not be renewed but have not expired yet.
    fn old_ones(&self) -> Option<Kept> {
        let now = SystemTime::now();
        let mut kept = self.kept();
        let old = kept.as_mut().filter(|old| old.credentials.expiry().is_some_and(|expiry| now < expiry))?;
        old.renew_at = Some(now + RENEW_AGAIN_AFTER);
        Some(old.clone())
    }

    async fn search(&self) -> Result<Credentials, String> {
        let Some(provider) = &self.0.provider else { return Err("no provider is configured".to_owned()) };
        match tokio::time::timeout(SEARCH_TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(format!("the search took longer than {} s", SEARCH_TIMEOUT.as_secs())),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explain(error: &CredentialsError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text = format!("{text}: {current}");
        cause = current.source();
    }
    text
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.get().await.map(|kept| kept.credentials).map_err(CredentialsError::not_loaded)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives credentials that live `lives` long, numbered, and fails from `fails_from` on.
    #[derive(Debug)]
    struct Numbered {
        asked: Arc<AtomicUsize>,
        lives: Duration,
        fails_from: usize,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let count = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            future::ProvideCredentials::ready(if count >= self.fails_from {
                Err(CredentialsError::not_loaded("no more"))
            } else {
                let expiry = SystemTime::now() + self.lives;
                Ok(Credentials::new(format!("key-{count}"), "secret", None, Some(expiry), "test"))
            })
        }
    }

    async fn keys(lives: Duration, fails_from: usize, count: usize, forget: bool) -> Vec<String> {
        let provider = Numbered { asked: Arc::default(), lives, fails_from };
        let cached = CachedCredentials::new(Some(SharedCredentialsProvider::new(provider)));
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(
                cached
                    .get()
                    .await
                    .map_or_else(|error| error, |kept| kept.credentials.access_key_id().to_owned()),
            );
            if forget {
                cached.forget();
            }
        }
        keys
    }

    #[tokio::test]
    async fn are_asked_for_once_while_they_are_fresh() {
        assert_eq!(keys(Duration::from_secs(3600), 9, 3, false).await, ["key-1", "key-1", "key-1"]);
    }

    #[tokio::test]
    async fn are_renewed_five_minutes_before_they_expire() {
        assert_eq!(keys(Duration::from_secs(299), 9, 2, false).await, ["key-1", "key-2"]);
    }

    #[tokio::test]
    async fn are_used_to_their_end_when_they_cannot_be_renewed() {
        assert_eq!(keys(Duration::from_secs(200), 2, 3, false).await, ["key-1", "key-1", "key-1"]);
    }

    #[tokio::test]
    async fn are_asked_for_again_after_xray_refused_them() {
        assert_eq!(keys(Duration::from_secs(3600), 3, 3, true).await[..2], ["key-1", "key-2"]);
        let failed = &keys(Duration::from_secs(3600), 2, 2, true).await[1];
        assert!(failed.contains("no more"), "{failed}");
    }
}
