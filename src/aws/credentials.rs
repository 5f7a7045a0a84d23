//! Credentials, kept until shortly before they expire, and forgotten when X-Ray says that they are bad.

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::identity::Identity;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Longest time one search for credentials may take. Processes and SSO can be slow; nobody has to wait for it.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(60);

/// After a renewal failed, the old credentials are used this long before the next try.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// A credentials provider that remembers.
#[derive(Debug, Clone)]
pub(super) struct CachedCredentials(Arc<State>);

#[derive(Debug)]
struct State {
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<Kept>>,
    /// The search that is under way: a hundred requests ask the metadata service once.
    searching: Mutex<Option<Searching>>,
}

type Searching = watch::Receiver<Option<Result<Kept, String>>>;

#[derive(Debug, Clone)]
struct Kept {
    credentials: Credentials,
    identity: Identity,
    renew_at: Option<SystemTime>,
}

impl Kept {
    fn new(credentials: Credentials) -> Self {
        let renew_at = credentials.expiry().map(|expiry| expiry - RENEW_BEFORE);
        Self { identity: Identity::from(credentials.clone()), renew_at, credentials }
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|expiry| now < expiry)
    }
}

impl CachedCredentials {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>) -> Self {
        Self(Arc::new(State { provider, kept: Mutex::default(), searching: Mutex::default() }))
    }

    /// Credentials in the form the signer takes.
    pub(super) async fn identity(&self) -> Result<Identity, String> {
        self.get().await.map(|kept| kept.identity)
    }

    /// Forgets what is kept: X-Ray does not take it.
    pub(super) fn forget(&self) {
        *lock(&self.0.kept) = None;
    }

    /// What is kept while it is valid, renewed behind the caller's back when it is old; else what a search finds.
    async fn get(&self) -> Result<Kept, String> {
        let now = SystemTime::now();
        if let Some(valid) = lock(&self.0.kept).as_mut().filter(|kept| kept.is_valid(now)) {
            if valid.renew_at.is_some_and(|at| at <= now) {
                valid.renew_at = Some(now + RENEW_AGAIN_AFTER);
                let _ = self.search();
            }
            return Ok(valid.clone());
        }
        let mut searching = self.search();
        let found = searching.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err("the search for credentials was given up".to_owned()))
    }

    /// Joins the search that is under way, or begins one. It goes on when its caller has given up waiting.
    fn search(&self) -> Searching {
        let mut searching = lock(&self.0.searching);
        if let Some(under_way) = &*searching {
            return under_way.clone();
        }
        let (found, result) = watch::channel(None);
        *searching = Some(result.clone());
        let state = self.0.clone();
        tokio::spawn(async move {
            let credentials = state.ask_provider().await.map(Kept::new);
            if let Ok(kept) = &credentials {
                *lock(&state.kept) = Some(kept.clone());
            }
            *lock(&state.searching) = None;
            // Nobody waits any more when this fails.
            let _ = found.send(Some(credentials));
        });
        result
    }
}

impl State {
    async fn ask_provider(&self) -> Result<Credentials, String> {
        let Some(provider) = &self.provider else { return Err("no provider is configured".to_owned()) };
        match tokio::time::timeout(SEARCH_TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(format!("the search took longer than {} s", SEARCH_TIMEOUT.as_secs())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            // A renewal behind our back gets its turn.
            tokio::task::yield_now().await;
        }
        keys
    }

    #[tokio::test]
    async fn are_asked_for_once_while_they_are_fresh() {
        assert_eq!(keys(Duration::from_secs(3600), 9, 3, false).await, ["key-1", "key-1", "key-1"]);
    }

    #[tokio::test]
    async fn are_renewed_five_minutes_before_they_expire_and_nobody_waits_for_it() {
        assert_eq!(keys(Duration::from_secs(299), 9, 3, false).await, ["key-1", "key-1", "key-2"]);
    }

    #[tokio::test]
    async fn are_used_to_their_end_when_they_cannot_be_renewed() {
        assert_eq!(keys(Duration::from_secs(200), 2, 3, false).await, ["key-1", "key-1", "key-1"]);
    }

    /// Answers long after its caller has lost patience.
    #[derive(Debug)]
    struct Slow;

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                tokio::time::sleep(Duration::from_secs(20)).await;
                Ok(Credentials::new("slow", "secret", None, None, "test"))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_search_goes_on_when_its_caller_has_given_up() {
        let cached = CachedCredentials::new(Some(SharedCredentialsProvider::new(Slow)));
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_secs(5), cached.get()).await.is_err());
        }
        let found = tokio::time::timeout(Duration::from_secs(6), cached.get()).await;
        assert_eq!(
            found
                .expect("the fourth caller joins the first one's search")
                .unwrap()
                .credentials
                .access_key_id(),
            "slow"
        );
    }

    #[tokio::test]
    async fn are_asked_for_again_after_xray_refused_them() {
        assert_eq!(keys(Duration::from_secs(3600), 3, 3, true).await[..2], ["key-1", "key-2"]);
        let failed = &keys(Duration::from_secs(3600), 2, 2, true).await[1];
        assert!(failed.contains("no more"), "{failed}");
    }
}
