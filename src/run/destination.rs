//! Whether the Klaviyo account that a document names is the one that this app feeds.
//!
//! Two apps can share a commercetools project, and a key can be changed for one of another account. Whoever finds a
//! document that names another account touches nothing. The account is asked for where the key is not the one that fed the
//! run last, so that windows cost no further call.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::engine::Engine;
use super::log::LogEvent;
use super::state::Destination;
use crate::error::Error;
use crate::klaviyo::accounts::Account;
use crate::time::Deadline;

/// How long it may take to ask for the account: what it is asked for has to be done as well.
const TIMEOUT: Duration = Duration::from_secs(6);

/// A document that is left alone, as it is not this app's, or cannot be told to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherDestination {
    /// What the document names.
    pub fingerprint: String,
    reason: Mismatch,
}

/// Why a document is not taken for this app's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mismatch {
    /// The key is of another account.
    Account(String),
    /// The key is another, and of the account only the former key is known.
    Key,
    /// The key is another, and may not read which account it is of.
    Hidden,
}

impl fmt::Display for OtherDestination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.fingerprint;
        match &self.reason {
            Mismatch::Account(ours) => write!(
                formatter,
                "the document names the Klaviyo account {named}, and klaviyo_auth_key is of account:{ours}"
            ),
            Mismatch::Key => write!(
                formatter,
                "the document knows the Klaviyo account by its key only ({named}), and klaviyo_auth_key is another: whether \
                 it is of the same account cannot be told"
            ),
            Mismatch::Hidden => write!(
                formatter,
                "the document names the Klaviyo account {named}, and klaviyo_auth_key may not read which account it is of"
            ),
        }
    }
}

impl OtherDestination {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.reason {
            Mismatch::Account(_) => {
                "Nothing has been changed. Give each deployment a container of its own; or, where this account is to be fed \
                 from now on, start with {\"adopt\": true}."
            }
            Mismatch::Key | Mismatch::Hidden => {
                "Nothing has been changed. Give the key the scope accounts:read, with which a new key of the same account \
                 is known; or start with {\"adopt\": true}, where this account is to be fed from now on."
            }
        }
    }
}

/// How this app stands to the account that a document names.
#[derive(Debug)]
pub enum Standing {
    /// It feeds that account, or the document names none: what it is to name from now on.
    Ours(Option<Destination>),
    /// It does not, or that cannot be told.
    Other(OtherDestination),
}

/// Compares the account that a document names with this app's.
///
/// # Errors
/// Where that depends on Klaviyo's answer, and there is none.
pub async fn compare(
    engine: &Engine,
    named: Option<&Destination>,
    deadline: Deadline,
) -> Result<Standing, Error> {
    let key = &engine.config.klaviyo.auth_key;
    let Some(named) = named else {
        return Ok(Standing::Ours(first(engine, deadline).await));
    };
    if named.has_key(key) {
        return Ok(Standing::Ours(Some(named.clone())));
    }
    let other = |reason| {
        Standing::Other(OtherDestination {
            fingerprint: named.fingerprint(),
            reason,
        })
    };
    let Some(account) = &named.account else {
        return Ok(other(Mismatch::Key));
    };
    Ok(match read(engine, deadline).await? {
        Account::Known(ours) if ours == *account => {
            Standing::Ours(Some(Destination::new(Some(ours), key)))
        }
        Account::Known(ours) => other(Mismatch::Account(ours)),
        Account::Hidden => other(Mismatch::Hidden),
    })
}

/// Whether a document is this app's without a question: it names the key that this app has, or nobody.
#[must_use]
pub fn is_surely_ours(engine: &Engine, named: Option<&Destination>) -> bool {
    named.is_none_or(|named| named.has_key(&engine.config.klaviyo.auth_key))
}

/// As [`compare`], at a start: where only the key was known so far, the account is asked for.
///
/// # Errors
/// As [`compare`].
pub async fn compare_at_start(
    engine: &Engine,
    named: Option<&Destination>,
    deadline: Deadline,
) -> Result<Standing, Error> {
    let standing = compare(engine, named, deadline).await?;
    Ok(match standing {
        Standing::Ours(Some(destination)) if destination.account.is_none() => {
            let account = match read(engine, deadline).await {
                Ok(Account::Known(account)) => Some(account),
                _ => None,
            };
            Standing::Ours(Some(Destination {
                account,
                ..destination
            }))
        }
        standing => standing,
    })
}

/// The destination of this app, for a document that takes it over.
///
/// # Errors
/// Where Klaviyo does not answer, or does not know the key.
pub async fn adopt(engine: &Engine, deadline: Deadline) -> Result<Destination, Error> {
    let account = read(engine, deadline).await?;
    Ok(known_as(engine, account))
}

/// The destination of this app, for a document that names none yet. A key that Klaviyo does not know feeds nobody; where
/// it does not answer, the key has to do.
async fn first(engine: &Engine, deadline: Deadline) -> Option<Destination> {
    let account = match read(engine, deadline).await {
        Ok(account) => account,
        Err(error) if error.status() == Some(401) => return None,
        Err(_) => Account::Hidden,
    };
    Some(known_as(engine, account))
}

async fn read(engine: &Engine, deadline: Deadline) -> Result<Account, Error> {
    let deadline = engine.deadline(TIMEOUT).min(deadline);
    engine.account.get(&engine.klaviyo, deadline).await
}

fn known_as(engine: &Engine, account: Account) -> Destination {
    let id = match account {
        Account::Known(id) => Some(id),
        Account::Hidden => None,
    };
    Destination::new(id, &engine.config.klaviyo.auth_key)
}

/// Writes a log line about a document that is left alone.
pub fn log(engine: &Engine, key: &str, name: &str, other: &OtherDestination) {
    let members = json!({
        "document": key,
        "name": name,
        "error": other.to_string(),
        "advice": other.advice(),
    });
    engine.log(LogEvent::OtherDestination, &members);
}
