//! Places where outbound requests wait until a test lets them go on.

use std::pin::Pin;

use tokio::sync::watch;

/// What an outbound request waits for.
pub type Hold = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A gate that is closed until it is opened; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    is_open: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            is_open: watch::Sender::new(false),
            arrived: watch::Sender::new(0),
        }
    }
}

impl Gate {
    /// A request's wait at the gate. It has arrived when it is first polled.
    pub fn hold(&self) -> Hold {
        let gate = self.clone();
        Box::pin(async move {
            gate.arrived.send_modify(|arrived| *arrived += 1);
            // `self` keeps the sender
            let _ = gate.is_open.subscribe().wait_for(|is_open| *is_open).await;
        })
    }

    /// Waits until so many requests have arrived, those that went through the open gate included.
    pub async fn arrived(&self, count: usize) {
        let _ = self
            .arrived
            .subscribe()
            .wait_for(|arrived| *arrived >= count)
            .await;
    }

    /// Lets those go on that wait, and all that come.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_arrives_waits_until_the_gate_is_opened() {
        let gate = Gate::default();
        let held = tokio::spawn(gate.hold());
        gate.arrived(1).await;
        assert!(!held.is_finished());
        gate.open();
        held.await.unwrap();
        gate.hold().await;
        gate.arrived(2).await;
        let third = tokio::time::timeout(Duration::from_millis(1), gate.arrived(3)).await;
        assert!(third.is_err());
    }
}
