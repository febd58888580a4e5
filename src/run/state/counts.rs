//! Counts of records, and notes about some of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// More than a run can count.
pub(super) const MAX_COUNT: u64 = 1 << 40;

/// What was done differently for records that were sent, or is to be said of records that were not read: counted beside
/// them, under a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A profile was sent without its phone number, which is not valid.
    PhoneNumberLeftOut,
    /// A profile, or the events of an order, were sent without an email that is longer than Klaviyo accepts.
    EmailLeftOut,
    /// A profile was sent again without its phone number, because Klaviyo rejected it.
    SentAgainWithoutPhoneNumber,
    /// A profile was sent again under its other identifiers, because Klaviyo rejected its email; or an order's events
    /// were.
    SentAgainWithoutEmail,
    /// A profile was sent without its phone number, which another customer of the same request has too.
    SharedPhoneNumber,
    /// A variant that the product no longer has was deleted.
    ObsoleteVariantDeleted,
    /// A variant that was under another item was deleted there, to be created under its own.
    VariantMoved,
    /// A category that an item is in was created, because Klaviyo did not have it.
    CategoryCreated,
    /// A job whose result is not known.
    JobWithoutResult,
    /// An entry that is in Klaviyo after the last pass of a deletion.
    LeftInKlaviyo,
    /// A product that is not published: neither sent nor deleted.
    UnpublishedLeftAlone,
    /// An item that was deleted, because its product is not published any more.
    UnpublishedDeleted,
    /// An entry that was deleted, because commercetools does not have it, or not published.
    Pruned,
    /// commercetools has not said which products have prices that began or ended: a request of changes was rejected, or
    /// took too long.
    PriceDatesUnread,
    /// An order with a product that was not found among the published ones, while the API client may not read the
    /// others: their categories may be missing.
    UnpublishedProductsUnread,
    /// A product whose prices are resources of their own that the API client may not read: none was sent.
    StandalonePricesUnread,
    /// An event of an order that was left out, because it exceeds a limit of Klaviyo's.
    EventLeftOut,
    /// An order whose email is at a domain for tests: Klaviyo accepts its events and drops them.
    TestAddress,
    /// An order with a payment that is too large to be looked up: its refunds are not known.
    RefundsUnread,
    /// A product with variants whose stock the API client may not read: none was sent.
    StockUnread,
}

impl Note {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::PhoneNumberLeftOut,
        Self::EmailLeftOut,
        Self::SentAgainWithoutPhoneNumber,
        Self::SentAgainWithoutEmail,
        Self::SharedPhoneNumber,
        Self::ObsoleteVariantDeleted,
        Self::VariantMoved,
        Self::CategoryCreated,
        Self::JobWithoutResult,
        Self::LeftInKlaviyo,
        Self::UnpublishedLeftAlone,
        Self::UnpublishedDeleted,
        Self::Pruned,
        Self::PriceDatesUnread,
        Self::UnpublishedProductsUnread,
        Self::StandalonePricesUnread,
        Self::EventLeftOut,
        Self::TestAddress,
        Self::RefundsUnread,
        Self::StockUnread,
    ];

    /// The name that it is counted under.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::PhoneNumberLeftOut => "phone-number-left-out",
            Self::EmailLeftOut => "email-left-out",
            Self::SentAgainWithoutPhoneNumber => "sent-again-without-phone-number",
            Self::SentAgainWithoutEmail => "sent-again-without-email",
            Self::SharedPhoneNumber => "shared-phone-number",
            Self::ObsoleteVariantDeleted => "obsolete-variants-deleted",
            Self::VariantMoved => "variants-moved",
            Self::CategoryCreated => "missing-categories-created",
            Self::JobWithoutResult => "jobs-without-result",
            Self::LeftInKlaviyo => "left-in-klaviyo",
            Self::UnpublishedLeftAlone => "unpublished-left-alone",
            Self::UnpublishedDeleted => "unpublished-deleted",
            Self::Pruned => "pruned",
            Self::PriceDatesUnread => "price-dates-unread",
            Self::UnpublishedProductsUnread => "unpublished-products-unread",
            Self::StandalonePricesUnread => "standalone-prices-unread",
            Self::EventLeftOut => "event-left-out",
            Self::TestAddress => "test-address",
            Self::RefundsUnread => "refunds-unread",
            Self::StockUnread => "stock-unread",
        }
    }
}

/// How many records. `read` is always the sum of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// Records read from commercetools (an id that was requested and does not exist counts as read).
    #[serde(default)]
    pub read: u64,
    /// Records that Klaviyo has accepted.
    #[serde(default)]
    pub sent: u64,
    /// Records that were not sent, by reason.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// Records that Klaviyo rejected.
    #[serde(default)]
    pub failed: u64,
    /// Documents made of the records sent: profiles, events, catalog entries.
    #[serde(default)]
    pub documents: u64,
    /// What was done differently for a record that was sent, by name, such as `phone-number-left-out`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, u64>,
}

impl Counts {
    /// What is counted for this many entries of the catalog that were sent.
    #[must_use]
    pub fn of_entries(entries: u64) -> Self {
        Self {
            read: entries,
            sent: entries,
            documents: entries,
            ..Self::default()
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.sent += other.sent;
        self.failed += other.failed;
        self.documents += other.documents;
        for (ours, theirs) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.notes, &other.notes),
        ] {
            for (name, count) in theirs {
                *ours.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// Counts a note, as often as `count` says.
    pub fn note(&mut self, note: Note, count: u64) {
        if count > 0 {
            *self.notes.entry(note.key().to_owned()).or_default() += count;
        }
    }

    /// Subtracts what was counted, because it will be counted again.
    pub fn take_back(&mut self, other: &Self) {
        self.read = self.read.saturating_sub(other.read);
        self.sent = self.sent.saturating_sub(other.sent);
        self.failed = self.failed.saturating_sub(other.failed);
        self.documents = self.documents.saturating_sub(other.documents);
        for (ours, theirs) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.notes, &other.notes),
        ] {
            for (name, count) in theirs {
                if let Some(ours) = ours.get_mut(name) {
                    *ours = ours.saturating_sub(*count);
                }
            }
            ours.retain(|_, count| *count > 0);
        }
    }

    /// Counts records as failed that were counted as sent.
    pub fn move_to_failed(&mut self, records: u64) {
        let records = records.min(self.sent);
        self.sent -= records;
        self.failed += records;
    }

    /// Counts a record as skipped for this reason that was counted as sent; returns whether one was.
    pub fn move_to_skipped(&mut self, reason: &str) -> bool {
        let Some(sent) = self.sent.checked_sub(1) else {
            return false;
        };
        self.sent = sent;
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
        true
    }

    /// Counts a record as failed that was counted as skipped for this reason.
    pub fn skipped_is_failed(&mut self, reason: &str) {
        if let Some(count) = self.skipped.get_mut(reason).filter(|count| **count > 0) {
            *count -= 1;
            self.failed += 1;
        }
        self.skipped.retain(|_, count| *count > 0);
    }

    /// Whether these numbers are possible. If they are, sums of them cannot overflow.
    pub(super) fn are_possible(&self) -> bool {
        let by_name = self.skipped.values().chain(self.notes.values());
        [self.read, self.sent, self.failed, self.documents]
            .iter()
            .chain(by_name)
            .all(|&count| count <= MAX_COUNT)
    }

    /// Records skipped for any reason.
    #[must_use]
    pub fn skipped_in_all(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Whether read = sent + skipped + failed.
    #[must_use]
    pub fn add_up(&self) -> bool {
        self.read == self.sent + self.skipped_in_all() + self.failed
    }
}
