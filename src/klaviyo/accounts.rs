//! `accounts`: which account a key is of (<https://developers.klaviyo.com/en/reference/get_accounts>).

use std::cell::RefCell;
use std::time::Duration;

use serde::Deserialize;

use super::client::Client;
use super::rate::Endpoint;
use crate::error::{Error, Peer, plain_code};
use crate::time::Deadline;

/// "Burst: 1/s, Steady: 15/m".
static READ_ACCOUNT: Endpoint = Endpoint {
    name: "read the account",
    burst: 1,
    steady: 15,
};
/// An account has its id whichever fields are asked for. This one is not about anybody.
const PATH: &str = "/api/accounts?fields%5Baccount%5D=timezone";
/// How long it is taken for granted that a key may not read its account. A scope is not given every minute.
const HIDDEN_FOR: Duration = Duration::from_secs(60);

/// The account of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// Its id.
    Known(String),
    /// The key lacks the scope `accounts:read`.
    Hidden,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    id: String,
}

/// Reads which account the client's key is of.
///
/// # Errors
/// Where Klaviyo does not answer or refuses for another reason than the scope.
pub async fn read(client: &Client, deadline: Deadline) -> Result<Account, Error> {
    let body = match client.get(&READ_ACCOUNT, PATH, deadline).await {
        Err(error) if error.status() == Some(403) => return Ok(Account::Hidden),
        answer => answer?,
    };
    let page: Option<Page> = serde_json::from_slice(&body).ok();
    // it is stored and shown: whatever does not look like an id is none
    let id = page.and_then(|page| plain_code(page.data.into_iter().next()?.id));
    id.map(Account::Known).ok_or_else(|| {
        Error::unreadable(
            Peer::Klaviyo,
            READ_ACCOUNT.name,
            "the account that the key is of",
        )
    })
}

/// The account of a client's key, for as long as the instance lives: a key is of one account for good.
#[derive(Debug, Default)]
pub struct KnownAccount(RefCell<Option<(Account, Duration)>>);

impl KnownAccount {
    /// The account, asked for where it is not known.
    ///
    /// # Errors
    /// As [`read`].
    pub async fn get(&self, client: &Client, deadline: Deadline) -> Result<Account, Error> {
        let now = client.ports.clock.monotonic();
        if let Some((account, seen_at)) = &*self.0.borrow()
            && (*account != Account::Hidden || now.saturating_sub(*seen_at) < HIDDEN_FOR)
        {
            return Ok(account.clone());
        }
        let account = read(client, deadline).await?;
        *self.0.borrow_mut() = Some((account.clone(), now));
        Ok(account)
    }
}
