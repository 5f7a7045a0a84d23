//! The wish to stop: once means after delivering what waits, twice means now.

use tokio::sync::watch;

/// Where the wish is expressed. The caller of [`crate::App::run`] keeps it.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<u32>);

/// Where the wish is heard.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<u32>);

/// A connected pair.
pub fn channel() -> (StopHandle, Stop) {
    let (sender, receiver) = watch::channel(0);
    (StopHandle(sender), Stop(receiver))
}

impl StopHandle {
    /// Asks to stop; asked a second time, at once.
    pub fn request(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Listens for SIGTERM and SIGINT from this call on, and asks to stop at each of them while the future that
    /// it gives runs. Call it before the ports are bound: who sees them bound may send the signal at once.
    ///
    /// # Errors
    /// When the system gives no signal handler.
    pub fn on_signals(self) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
        #[cfg(unix)]
        let (mut terminate, mut interrupt) = {
            use tokio::signal::unix::{SignalKind, signal};
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        #[cfg(windows)]
        let (mut terminate, mut interrupt) =
            (tokio::signal::windows::ctrl_close()?, tokio::signal::windows::ctrl_c()?);
        Ok(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("asked to stop");
                self.request();
            }
        })
    }
}

impl Stop {
    /// Returns after the first wish to stop. Pends for ever when its handle is gone.
    pub async fn requested(&mut self) {
        self.reached(1).await;
    }

    /// Returns after the second.
    pub async fn insisted(&mut self) {
        self.reached(2).await;
    }

    async fn reached(&mut self, count: u32) {
        if self.0.wait_for(|seen| *seen >= count).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
