//! Ctrl-C, and SIGTERM.

use anyhow::{Context, Result};

/// Interrupts of this process, from when this was made.
pub(crate) struct Interrupts {
    #[cfg(unix)]
    kinds: [tokio::signal::unix::Signal; 2],
}

impl Interrupts {
    /// From now on they end nothing by themselves.
    pub(crate) fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};

            let on = |kind| signal(kind).context("waiting for Ctrl-C");
            Ok(Self {
                kinds: [on(SignalKind::interrupt())?, on(SignalKind::terminate())?],
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.kinds;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
